// The cockpit: takes states, gives them to the panels, sends what the person asks.

import { act, connect, stop } from './connection.js';
import { paintStrokes } from './drawn.js';
import { Channels, fill, Joints, Parameters } from './panels.js';
import { Camera, Curve, Keyframes } from './person.js';

const by = (id) => document.getElementById(id);
const camera = new Camera(by('camera'));
const curve = new Curve(by('curve'));
const keyframes = new Keyframes(by('keyframes'));
const channels = new Channels(by('channels'));
const shapes = new Channels(by('shapes'), '');
const joints = new Joints(by('jog'), say);
const parameters = new Parameters(
  {
    main: by('main-parameters'),
    gains: by('gains'),
    more: by('more-parameters'),
    person: by('person-parameters'),
    camera: by('camera-parameters'),
  },
  say,
);
let head = null;
let details = {};

function say(text, isBad) {
  by('answer').textContent = text;
  by('answer').dataset.bad = isBad;
}

const show = {
  robot(robot) {
    by('robot').textContent = robot.name;
    document.title = `Cockpit of ${robot.name}`;
    channels.build(robot);
    shapes.build({ channels: robot.shapes, shown: robot.shown_shapes });
    joints.build(robot);
    names = robot.joints.map(({ name }) => name);
  },
  tuning: (tuning) => parameters.build(tuning),
  parameters: (values) => parameters.show(values),
  expression: (values) => channels.show(values),
  shapes: (values) => by('shapes').parentElement.open && shapes.show(values),
  region(box) {
    camera.region = box;
    camera.isOld = true;
  },
  landmarks(points) {
    camera.points = points;
    camera.pointsMs = performance.now();
    camera.isOld = true;
  },
  scores: (rows) => curve.add(rows, []),
  keyframes(found) {
    curve.add([], found);
    found.forEach((keyframe) => keyframes.explain(keyframe));
  },
  movements: (found) => found.forEach((movement) => keyframes.moved(movement)),
  joints(values) {
    joints.show(values, details);
    head?.move(names, values.position);
  },
  authority(sentence) {
    by('authority').textContent = `Moved by: ${sentence}`;
  },
  recording({ sentence, is_ours: isOurs, bad }) {
    report(by('recording'), sentence, bad);
    by('record').dataset.on = isOurs;
    by('record').lastChild.textContent = isOurs ? 'Stop recording' : 'Record';
    by('record-images').disabled = isOurs;
  },
  calibration({ sentence, running, progress, bad }) {
    by('coach').hidden = !running;
    report(by('instruction'), running ? sentence : '', false);
    by('calibrated').value = progress;
    report(by('calibration'), running ? '' : sentence, bad);
    by('calibrate').textContent = running ? 'Cancel the calibration' : 'Calibrate for this person';
    by('calibrate').dataset.on = running;
  },
  health(health) {
    details = health.servo;
    by('state').dataset.level = health.level;
    if (by('sentence').textContent !== health.sentence) by('sentence').textContent = health.sentence;
    by('advice').textContent = health.advice;
    fill(by('stages'), health.stages.map(([name, p50, p99]) => [name, p50.toFixed(1), p99.toFixed(1)]));
    const bus = ['state', 'rate', 'jitter p99', 'overruns', 'failed exchanges'].filter((key) => key in details);
    fill(by('rates'), [...bus.map((key) => [`bus: ${key}`, details[key]]), ...Object.entries(health.rates)]);
  },
};
let names = [];

/** Say something where a screen reader hears it only when it is new. */
function report(place, text, isBad) {
  if (place.textContent !== text) place.textContent = text;
  place.dataset.bad = isBad;
}

const jpeg = (data) => new Blob([data], { type: 'image/jpeg' });

const pictures = {
  camera: (about, data) => {
    frames += 1;
    camera.show(about, jpeg(data));
  },
  face({ strokes }, points) {
    paintStrokes(by('face'), strokes, points);
    by('face').hidden = false;
  },
  keyframe_pictures: (about, data) => keyframes.picture(about, jpeg(data)),
};

let frames = 0;
setInterval(() => {
  by('fps').textContent = `${Math.round(frames / 2)} pictures per second`;
  frames = 0;
}, 2000);

connect({
  values(changed) {
    for (const [name, value] of Object.entries(changed)) show[name]?.(value);
  },
  picture: (about, data) => pictures[about.picture]?.(about, data),
  link(text, isLost) {
    if (by('link').textContent === text) return;
    by('link').textContent = text;
    by('link').dataset.lost = isLost;
  },
});

let asked = 0; // an answer that comes after something newer was asked is not said
async function stopNow() {
  asked += 1;
  by('stop').dataset.busy = true;
  await stop(say);
  by('stop').dataset.busy = false;
}

by('stop').addEventListener('click', stopNow);
// Before any control sees the key: Space never presses the button that was used last.
addEventListener(
  'keydown',
  (event) => {
    if (event.key !== 'Escape' && event.key !== ' ') return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) stopNow();
  },
  { capture: true },
);
addEventListener('keyup', (event) => event.key === ' ' && event.preventDefault(), { capture: true });

for (const button of document.querySelectorAll('[data-action], [data-torque]')) {
  const { action, torque } = button.dataset;
  button.addEventListener('click', () => ask(action ? { action } : { action: 'torque', on: torque === 'on' }));
}

async function ask(action) {
  asked += 1;
  const mine = asked;
  const { done, sentence } = await act(action);
  if (mine === asked) say(sentence, !done);
}

const isOn = (button) => button.dataset.on === 'true';
by('record').addEventListener('click', () =>
  ask({ action: 'record', on: !isOn(by('record')), images: by('record-images').checked }),
);
by('calibrate').addEventListener('click', () => {
  const on = !isOn(by('calibrate'));
  if (on) by('camera').scrollIntoView({ block: 'center' });
  return ask({ action: 'calibrate', on });
});

by('save').addEventListener('click', () => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([parameters.file()], { type: 'application/yaml' }));
  link.download = 'params.yaml';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

const FRAME_MS = 30; // 30 a second and a little more; a display may ask for 144
let drawnMs = 0;
function draw(nowMs) {
  requestAnimationFrame(draw);
  if (nowMs - drawnMs < FRAME_MS) return;
  drawnMs = nowMs;
  camera.draw();
  curve.draw();
  head?.draw(nowMs);
}
requestAnimationFrame(draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => (curve.isOld = true));

import('./head.js')
  .then(async ({ Head }) => {
    head = await Head.load(by('head'), new URL('model/head.urdf', location.href));
    window.cockpitHead = head;
  })
  .catch((error) => {
    by('no-head').hidden = false;
    by('no-head').textContent = `No 3-D view here: ${error.message}`;
  });
