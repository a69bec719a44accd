// Paints a drawing that comes as strokes (kf_imitation/visualization/strokes.py).

const STEPS = 10_000;
const AWAY = 10_000; // a shadow is blurred everywhere; what throws it stays outside the picture

const paint = {
  background(context, path, top, bottom) {
    const fade = context.createLinearGradient(0, -1, 0, 1);
    fade.addColorStop(0, top);
    fade.addColorStop(1, bottom);
    context.fillStyle = fade;
    context.fillRect(-1, -1, 2, 2);
  },
  fill(context, path, colour) {
    context.fillStyle = colour;
    context.fill(path);
  },
  line(context, path, colour, width, isClosed) {
    if (isClosed) path.closePath();
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke(path);
  },
  inside(context, path) {
    context.save();
    context.clip(path);
  },
  outside: (context) => context.restore(),
  lit(context, path, [x, y, radius], tones) {
    const fade = context.createRadialGradient(x, y, 0, x, y, radius);
    tones.forEach((tone, place) => fade.addColorStop(place / (tones.length - 1), tone));
    context.fillStyle = fade;
    context.fill(path);
  },
  soft(context, path, colour, strength, blur) {
    const scale = context.canvas.width / 2;
    context.save();
    context.globalAlpha = strength;
    context.shadowColor = colour;
    context.shadowBlur = 2 * blur * scale;
    context.shadowOffsetX = AWAY;
    context.translate(-AWAY / scale, 0);
    context.fill(path);
    context.restore();
  },
};

/** Paint on a square canvas.
 * @param strokes kind, number of points, and what else the kind takes
 * @param points an ArrayBuffer of 16-bit x and y, in turn
 */
export function paintStrokes(canvas, strokes, points) {
  const context = canvas.getContext('2d');
  const places = new Int16Array(points);
  const scale = canvas.width / 2;
  context.setTransform(scale, 0, 0, scale, scale, scale);
  context.lineCap = context.lineJoin = 'round';
  let next = 0;
  for (const [kind, count, ...about] of strokes) {
    const path = new Path2D();
    for (const end = next + 2 * count; next < end; next += 2) {
      path.lineTo(places[next] / STEPS, places[next + 1] / STEPS);
    }
    paint[kind](context, path, ...about);
  }
}
