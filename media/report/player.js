// Person and robot side by side on one time axis: play, scrub, speed; frames and curves to keep.
'use strict';

const CLIP_STEP_S = 0.04;
const AROUND_S = 0.7; // shown before and after a keyframe

class Player {
  constructor(data, onTime) {
    this.data = data;
    this.player = data.player;
    this.onTime = onTime;
    this.end = data.run.time_s[data.run.time_s.length - 1] || 0;
    this.now = 0;
    this.shownMs = 0;
    this.isPlaying = false;
    this.picture = byId('person-frame');
    this.scrub = byId('scrub');
    this.scrub.max = this.end.toFixed(2);
    this.around = null; // [from, to] while a keyframe's surroundings are played again and again
    this.scrub.addEventListener('input', () => { this.around = null; this.seek(Number(this.scrub.value)); });
    byId('play').addEventListener('click', () => (this.isPlaying ? this.pause() : this.play()));
    byId('save-frame').addEventListener('click', () => this.saveFrame());
    byId('save-curves').addEventListener('click', () => save(new Blob([this.csv()], { type: 'text/csv' }), 'curves.csv'));
    this.marks();
    this.person = this.pictures();
    byId('person-box').hidden = !this.person.length;
    byId('player').hidden = false;
    this.head = null;
    import('head')
      .then(({ Head }) => Head.load(byId('head'), new URL(this.player.urdf), this.player.meshes))
      .then((head) => {
        this.head = head;
        const draw = (nowMs) => { requestAnimationFrame(draw); head.draw(nowMs); };
        requestAnimationFrame(draw);
        this.seek(this.now);
        document.body.dataset.head = 'true';
      })
      .catch((error) => { byId('no-head').textContent = `No 3-D view here: ${error.message}`; });
    this.seek(0);
  }

  // Pictures of the camera, else of the keyframes.
  pictures() {
    if (this.player.pictures.length) return this.player.pictures;
    return this.data.keyframes.filter((k) => k.picture).map((k) => [k.time_s, k.picture]);
  }

  // What is reached and what is missed, above the slider.
  marks() {
    const place = byId('moments'), percentOf = (time_s) => `${(100 * time_s) / (this.end || 1)}%`;
    for (const keyframe of this.data.keyframes) {
      const mark = element('i');
      mark.style.left = percentOf(keyframe.time_s);
      place.append(mark);
    }
    for (const moment of this.data.moments) {
      const words = `${moment.name} at ${moment.time_s.toFixed(2)} s: ${moment.reached ? 'reached' : 'missed'}, ${percent(moment.share)}`;
      const mark = element('button', moment.reached ? '●' : '✕', { type: 'button', title: words, className: moment.reached ? 'reached' : 'missed' });
      mark.setAttribute('aria-label', words);
      mark.style.left = percentOf(moment.time_s);
      mark.addEventListener('click', () => this.seek(moment.time_s));
      place.append(mark);
    }
    const reached = this.data.moments.filter((m) => m.reached).length;
    byId('moment-count').textContent = this.data.moments.length
      ? `${reached} of ${this.data.moments.length} blinks and apexes were reached (● reached, ✕ missed; at least 80 %).`
      : 'This run has no reading of every frame, so blinks and apexes are not judged.';
  }

  play() {
    this.isPlaying = true;
    byId('play').textContent = 'Pause';
    if (this.now >= this.end) this.now = 0;
    let beforeMs = performance.now();
    const step = (nowMs) => {
      if (!this.isPlaying) return;
      const by_s = (Math.max(0, nowMs - beforeMs) / 1000) * Number(byId('speed').value);
      beforeMs = nowMs;
      this.seek(Math.min(this.end, this.now + by_s));
      if (this.around && this.now >= this.around[1]) this.seek(this.around[0]);
      if (this.now >= this.end) this.pause(); else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  // Play what was before and after a time, again and again.
  playAround(time_s) {
    this.around = this.surroundings(time_s);
    this.seek(this.around[0]);
    if (!this.isPlaying) this.play();
  }

  surroundings(time_s) {
    return [Math.max(0, time_s - AROUND_S), Math.min(this.end - 1e-3, time_s + AROUND_S)];
  }

  pause() {
    this.around = null;
    this.isPlaying = false;
    byId('play').textContent = 'Play';
  }

  seek(time_s) {
    this.now = time_s;
    this.scrub.value = time_s;
    byId('now').textContent = `${time_s.toFixed(2)} s`;
    const shown = this.person[lastAt(this.person.length, (i) => this.person[i][0], time_s)];
    if (shown && this.picture.src !== shown[1]) this.picture.src = shown[1];
    const { joints, rad, time_s: times } = this.player;
    const row = lastAt(times.length, (i) => times[i], time_s);
    this.head?.move(joints, rad.map((column) => column[row] ?? null));
    this.onTime(time_s);
  }

  // Person and robot as they are shown, side by side.
  drawSides(canvas) {
    const height = 480, sides = [];
    if (this.person.length && this.picture.naturalWidth) sides.push(this.picture);
    if (this.head) {
      this.head.isOld = true;
      this.head.draw(1e12); // drawn in this very moment, else the canvas is empty
      sides.push(byId('head'));
    }
    const width = (side) => Math.round((height * (side.naturalWidth || side.width)) / (side.naturalHeight || side.height));
    const whole = sides.reduce((sum, side) => sum + width(side), 0) || 1;
    if (canvas.width !== whole || canvas.height !== height) Object.assign(canvas, { width: whole, height });
    let x = 0;
    for (const side of sides) {
      canvas.getContext('2d').drawImage(side, x, 0, width(side), height);
      x += width(side);
    }
  }

  saveFrame() {
    const canvas = element('canvas');
    this.drawSides(canvas);
    canvas.toBlob((blob) => save(blob, `frame-${this.now.toFixed(2)}s.png`));
  }

  // A video of what was before and after a time, drawn as it is recorded.
  async saveClip(time_s) {
    this.pause();
    const canvas = element('canvas'), parts = [], [from, to] = this.surroundings(time_s);
    const draw = async (shown_s) => {
      this.seek(shown_s);
      if (this.person.length) await this.picture.decode();
      this.drawSides(canvas);
    };
    await draw(from);
    const recorder = new MediaRecorder(canvas.captureStream());
    recorder.addEventListener('dataavailable', (event) => parts.push(event.data));
    recorder.addEventListener('stop', () => save(new Blob(parts, { type: 'video/webm' }), `clip-${time_s.toFixed(2)}s.webm`));
    recorder.start();
    for (let shown_s = from; shown_s < to; shown_s += CLIP_STEP_S) {
      await draw(shown_s);
      await new Promise((done) => { setTimeout(done, 1000 * CLIP_STEP_S); });
    }
    recorder.stop();
  }

  csv() {
    const { joints, rad, time_s: times } = this.player;
    const score = (time_s) => this.data.run.at_once[frameAt(this.data.run, time_s)] ?? '';
    const rows = times.map((time_s, i) => [time_s, score(time_s), ...rad.map((column) => column[i])].join(','));
    return [['time_s', 'score', ...joints.map((name) => `${name}_rad`)].join(','), ...rows, ''].join('\n');
  }
}

/** The last of `count` sorted values that is not after a time; 0 before the first. */
function lastAt(count, at, time_s) {
  let low = 0, high = count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (at(middle) <= time_s) low = middle; else high = middle - 1;
  }
  return low;
}

function save(blob, name) {
  const link = element('a', undefined, { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// A line through the score chart at the time that is shown; drawn over it, so that nothing is plotted anew.
function cursor(time_s) {
  const place = byId('score'), layout = place._fullLayout;
  if (!layout) return;
  const line = byId('cursor'), { xaxis: x, yaxis: y } = layout, at = x.l2p(time_s);
  line.hidden = at < 0 || at > x._length;
  line.style.transform = `translate(${x._offset + at}px, ${y._offset}px)`;
  line.style.height = `${y._length}px`;
}
