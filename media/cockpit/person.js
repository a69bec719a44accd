// The camera with what was found in it, and the score curve.

const SPAN_S = 10;
const POINTS_MS = 600; // of a keyframe, which the next frames leave behind

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The newest camera picture with face region and landmarks. */
export class Camera {
  constructor(canvas) {
    this.canvas = canvas;
    this.region = null;
    this.points = [];
    this.pointsMs = 0;
    this.size = [640, 480];
    this.image = null;
    this.waiting = null;
    this.isDecoding = false;
    this.isOld = true;
  }

  async show(about, blob) {
    this.waiting = [about, blob];
    if (this.isDecoding) return; // only the newest is decoded
    this.isDecoding = true;
    while (this.waiting) {
      const [newest, data] = this.waiting;
      this.waiting = null;
      const image = await createImageBitmap(data).catch(() => null);
      if (!image) continue;
      this.image?.close();
      this.image = image;
      this.size = [newest.width, newest.height];
      this.isOld = true;
    }
    this.isDecoding = false;
  }

  draw() {
    if (!this.isOld || !this.image) return;
    this.isOld = false;
    const { canvas, image } = this;
    if (canvas.width !== image.width || canvas.height !== image.height) {
      canvas.width = image.width;
      canvas.height = image.height;
    }
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const scale = image.width / this.size[0];
    const line = Math.max(1.5, image.width / 300);
    if (this.region) {
      const [x, y, edge] = this.region.map((value) => value * scale);
      context.strokeStyle = '#3ddc84';
      context.lineWidth = line;
      context.strokeRect(x, y, edge, edge);
    }
    context.fillStyle = '#ffd54a';
    const isFresh = this.region && performance.now() - this.pointsMs < POINTS_MS;
    for (const [x, y] of isFresh ? this.points : []) {
      context.beginPath();
      context.arc(x * scale, y * scale, line * 0.7, 0, 7);
      context.fill();
    }
  }
}

/** Scores of the last seconds with their threshold and the keyframes. */
export class Curve {
  constructor(canvas) {
    this.canvas = canvas;
    this.scores = [];
    this.keyframes = [];
    this.isOld = true;
  }

  clear() {
    this.scores = [];
    this.keyframes = [];
    this.isOld = true;
  }

  add(scores, keyframes) {
    for (const row of scores) {
      if (this.scores.length && row[0] < this.scores.at(-1)[0]) this.clear(); // stamps start anew
      this.scores.push(row);
    }
    this.keyframes.push(...keyframes);
    const begin = (this.scores.at(-1)?.[0] ?? 0) - SPAN_S;
    this.scores = this.scores.filter(([time]) => time >= begin);
    this.keyframes = this.keyframes.filter(({ time_s }) => time_s >= begin);
    this.isOld = true;
  }

  draw() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio)) this.isOld = true;
    if (!this.isOld) return;
    this.isOld = false;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    const end = this.scores.at(-1)?.[0] ?? 0;
    const place = (time, score) => [
      ((time - end + SPAN_S) / SPAN_S) * width,
      height - 4 - score * (height - 12),
    ];
    const line = (column, colour, thickness) => {
      context.strokeStyle = colour;
      context.lineWidth = thickness;
      context.beginPath();
      let isOpen = false;
      for (const row of this.scores) {
        const value = row[column];
        if (value === null) isOpen = false;
        else {
          const [x, y] = place(row[0], value);
          if (isOpen) context.lineTo(x, y);
          else context.moveTo(x, y);
          isOpen = true;
        }
      }
      context.stroke();
    };
    line(2, style('--soft'), 1);
    line(1, style('--score'), 2);
    context.fillStyle = context.strokeStyle = style('--keyframe');
    context.lineWidth = 1;
    for (const { time_s, score } of this.keyframes) {
      const [x, y] = place(time_s, score ?? 0);
      context.beginPath();
      context.moveTo(x, height);
      context.lineTo(x, y);
      context.stroke();
      context.beginPath();
      context.arc(x, y, 3.5, 0, 7);
      context.fill();
    }
  }
}

/** The list of keyframes, the newest first, each with its picture and reason. */
export class Keyframes {
  constructor(list) {
    this.list = list;
    this.rows = new Map();
  }

  row(id) {
    let row = this.rows.get(id);
    if (!row) {
      row = document.createElement('li');
      const told = document.createElement('div');
      told.append(...['time', 'b', 'span'].map((name) => document.createElement(name)));
      row.append(new Image(64, 64), told);
      row.firstChild.alt = '';
      this.rows.set(id, row);
      this.list.prepend(row);
      while (this.list.children.length > 24) this.remove(this.list.lastChild);
    }
    return row;
  }

  remove(row) {
    URL.revokeObjectURL(row.firstChild.src);
    for (const [id, known] of this.rows) if (known === row) this.rows.delete(id);
    row.remove();
  }

  explain({ id, time_s, reason }) {
    const [time, , why] = this.row(id).lastChild.children;
    time.textContent = new Date(time_s * 1000).toLocaleTimeString();
    why.textContent = reason;
  }

  moved({ id, moved }) {
    this.row(id).lastChild.children[1].textContent = moved;
  }

  picture({ id }, blob) {
    const image = this.row(id).firstChild;
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(blob);
    image.alt = 'face of the keyframe';
  }
}
