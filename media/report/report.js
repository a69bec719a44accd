// The page: strip of keyframes, why a frame was picked or was not, settings, charts.
'use strict';

const FIELDS = ['prominence', 'threshold', 'spacing_s', 'commit_delay_s', 'travel_threshold'];
const UNUSED = {
  peak: ['travel_threshold'], settle: ['travel_threshold'], travel: ['commit_delay_s'], combined: ['commit_delay_s'],
};
const byId = (id) => document.getElementById(id);
const percent = (share) => `${Math.round(100 * share)} %`;
const signed = (value, digits) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;

function element(tag, text, properties) {
  const made = Object.assign(document.createElement(tag), properties || {});
  if (text !== undefined) made.textContent = text;
  return made;
}

function list(items) {
  const made = element('dl');
  for (const [term, text] of items) made.append(element('dt', term), element('dd', text));
  return made;
}

function bar(name, share, kind) {
  const row = element('div', undefined, { className: 'share' });
  const track = element('span', undefined, { className: 'bar' });
  const fill = element('i', undefined, { className: kind });
  fill.style.width = `${Math.min(100, Math.max(0, 100 * share))}%`;
  track.append(fill);
  row.append(element('span', name), track, element('span', percent(share)));
  return row;
}

// What the network saw the change by, and what moved.
function shares(explanation) {
  const made = element('div');
  if (explanation.flow_share !== undefined) {
    made.append(element('h3', 'seen by'), bar('flow', explanation.flow_share, ''),
      bar('appearance', explanation.appearance_share, ''),
      bar('neither', explanation.still_share, 'neutral'));
  }
  if (explanation.head_share !== undefined) {
    made.append(element('h3', 'what moved'), bar('face', 1 - explanation.head_share, ''),
      bar('head', explanation.head_share, 'head'));
  }
  return made;
}

function neighbours(data, keyframe) {
  const near = [];
  for (const [word, other] of [['before', data.keyframes[keyframe.number - 2]],
    ['after', data.keyframes[keyframe.number]]]) {
    near.push(other ? `${word}: ${other.number} at ${other.time_s.toFixed(2)} s (${signed(other.time_s - keyframe.time_s, 2)} s), score ${other.score.toFixed(3)}`
      : `${word}: none`);
  }
  return near.join('; ');
}

function frameAt(run, time_s) {
  let low = 0, high = run.time_s.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (run.time_s[middle] < time_s) low = middle + 1; else high = middle;
  }
  return low > 0 && time_s - run.time_s[low - 1] < run.time_s[low] - time_s ? low - 1 : low;
}

function around(run, scores, frame) {
  const text = (i) => (scores[i] === null || scores[i] === undefined ? '–' : scores[i].toFixed(2));
  const places = [-3, -2, -1, 0, 1, 2, 3].map((k) => frame + k);
  return places.map((i) => (i === frame ? `[${text(i)}]` : text(i))).join('  ');
}

// What was before and after a keyframe, to play and to keep.
function clipButtons(player, keyframe) {
  const row = element('p', undefined, { className: 'row' });
  for (const [text, act] of [['Play before and after', () => player.playAround(keyframe.time_s)],
    ['Clip as WebM', () => player.saveClip(keyframe.time_s)]]) {
    const button = element('button', text, { type: 'button', className: 'plain' });
    button.addEventListener('click', act);
    row.append(button);
  }
  return row;
}

function explainKeyframe(data, state, player, keyframe) {
  const frame = frameAt(data.run, keyframe.time_s), e = keyframe.explanation || {};
  const items = [
    ['with these settings', sentence(data.run, state.settings, state.result, frame)],
    ['score', `${keyframe.score.toFixed(3)}, higher than ${keyframe.rank} % of the frames`],
    ['frames around it', around(data.run, state.result.scores, frame)],
    ['in the run', keyframe.prominence > 0
      ? `prominence ${keyframe.prominence.toFixed(3)}, needed ${keyframe.threshold.toFixed(3)}; known ${keyframe.commit_delay_s.toFixed(2)} s later`
      : `known ${keyframe.commit_delay_s > 0 ? `${keyframe.commit_delay_s.toFixed(2)} s later` : 'at once'}`],
    ['neighbours', neighbours(data, keyframe)],
  ];
  if (e.score_without_head !== undefined) {
    items.push(['head motion removed', `score ${e.score_without_head.toFixed(3)}`]);
  }
  if (e.strongest && e.strongest.length) {
    items.push(['what changed most', e.strongest.map(([n, v]) => `${n} ${signed(v, 3)}`).join(', ')]);
  }
  byId('why').replaceChildren(
    element('h3', `Keyframe ${keyframe.number} at ${keyframe.time_s.toFixed(2)} s`), list(items), shares(e),
    ...(player ? [clipButtons(player, keyframe)] : []));
}

function explainFrame(data, state, frame) {
  const score = state.result.scores[frame];
  byId('why').replaceChildren(
    element('h3', `Frame at ${data.run.time_s[frame].toFixed(2)} s`),
    list([['with these settings', sentence(data.run, state.settings, state.result, frame)],
      ['score', score === null ? 'none' : score.toFixed(3)],
      ['frames around it', around(data.run, state.result.scores, frame)]]));
}

// The settings that differ from the run's, as a parameter file.
function asParameters(settings, original) {
  const changed = ['mode', ...FIELDS].filter((name) => settings[name] !== original[name]);
  if (!changed.length) return '# the settings of the run';
  const value = (name) => (name === 'mode' ? settings.mode : settings[name].toFixed(2));
  return '/**/keyframe:\n  ros__parameters:\n'
    + changed.map((name) => `    detector.${name}: ${value(name)}`).join('\n');
}

function strip(data, choose, place = byId('strip'), prefix = '') {
  const buttons = data.keyframes.map((keyframe, index) => {
    const button = element('button', undefined, { type: 'button', tabIndex: index ? -1 : 0 });
    button.setAttribute('aria-pressed', 'false');
    if (keyframe.picture) {
      button.append(element('img', undefined, {
        src: keyframe.picture, alt: `${prefix}keyframe ${keyframe.number} with landmarks`, loading: 'lazy' }));
    } else button.className = 'bare';
    button.append(element('span', `${prefix}${keyframe.number} · ${keyframe.time_s.toFixed(2)} s`));
    button.addEventListener('click', () => choose(keyframe));
    return button;
  });
  // One stop for the Tab key; arrows move inside.
  place.addEventListener('keydown', (event) => {
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined || !buttons[to]) return;
    event.preventDefault();
    buttons[to].focus();
    choose(data.keyframes[to]);
  });
  if (!buttons.length) place.replaceChildren(element('p', 'None was found.', { className: 'note' }));
  place.append(...buttons);
  return buttons;
}

function press(buttons, chosen) {
  buttons.forEach((button, i) => {
    button.setAttribute('aria-pressed', String(i === chosen));
    button.tabIndex = i === Math.max(chosen, 0) ? 0 : -1;
  });
  if (chosen >= 0) buttons[chosen].scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

function viewButtons(data) {
  byId('whole').addEventListener('click', () => show(data));
  const move = (by, zoom) => () => { const v = view(); show(data, v.middle + by * v.length, v.length * zoom); };
  byId('earlier').addEventListener('click', move(-0.5, 1));
  byId('later').addEventListener('click', move(0.5, 1));
  byId('closer').addEventListener('click', move(0, 0.5));
  byId('wider').addEventListener('click', move(0, 2));
}

function start(data) {
  const player = data.player ? new Player(data, cursor) : null;
  const original = Object.freeze(Object.assign({}, data.settings));
  const state = { settings: Object.assign({}, original), result: null, shown: null };
  const buttons = strip(data, (keyframe) => choose(keyframe));

  const tellWhy = () => {
    if (!state.shown) return;
    if (state.shown.keyframe) explainKeyframe(data, state, player, state.shown.keyframe);
    else explainFrame(data, state, state.shown.frame);
  };
  const choose = (keyframe) => {
    state.shown = { keyframe };
    press(buttons, keyframe.number - 1);
    tellWhy();
    player?.seek(keyframe.time_s);
    show(data, keyframe.time_s, 3);
  };
  const chooseFrame = (frame) => {
    state.shown = { frame };
    press(buttons, -1);
    tellWhy();
    player?.seek(data.run.time_s[frame]);
  };

  const redraw = async () => {
    const began = performance.now(), settings = state.settings;
    settings.mode = byId('mode').value;
    for (const name of FIELDS) {
      const control = byId(name);
      // The run's own value may lie between two steps of the slider.
      settings[name] = control.dataset.touched ? Number(control.value) : original[name];
      byId(name + '-value').textContent = settings[name].toFixed(2);
      control.disabled = UNUSED[settings.mode].includes(name);
      control.parentElement.classList.toggle('unused', control.disabled);
    }
    state.result = search(data.run, settings);
    const changed = ['mode', ...FIELDS].some((name) => settings[name] !== original[name]);
    const found = state.result.found, run = data.run;
    const truth = data.truth_s || data.keyframes.map((k) => k.time_s);
    const result = compare(truth, found.map((k) => run.time_s[k.frame]), data.fps);
    byId('found').textContent = found.length;
    byId('en').textContent = result.count;
    byId('el').textContent = result.distance === null ? '–' : result.distance.toFixed(2);
    const waits = found.map((k) => (run.stamp_ns[k.newest] - run.stamp_ns[k.frame]) * 1e-9);
    byId('delay').textContent = waits.length ? Math.max(...waits).toFixed(2) : '–';
    byId('parameters').textContent = asParameters(settings, original);
    const kept = new Set(found.map((k) => k.frame));
    data.keyframes.forEach((keyframe, i) => {
      buttons[i].classList.toggle('dropped', changed && !kept.has(frameAt(run, keyframe.time_s)));
    });
    tellWhy();
    await scoreChart(data, settings, state.result, changed);
    document.body.dataset.redrawMs = (performance.now() - began).toFixed(1);
  };
  const restore = () => {
    byId('mode').value = original.mode;
    for (const name of FIELDS) {
      byId(name).value = original[name];
      delete byId(name).dataset.touched;
    }
    return redraw();
  };

  // A slider may move several times before the screen is drawn again.
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; redraw(); });
  };
  byId('mode').addEventListener('change', soon);
  for (const name of FIELDS) {
    byId(name).addEventListener('input', () => { byId(name).dataset.touched = 'true'; soon(); });
  }
  byId('reset').addEventListener('click', restore);
  viewButtons(data);

  const drawAll = async () => {
    await restoreOnce();
    curves('channels', data.channels, '');
    curves('joints', data.joints, 'rad');
  };
  let restored = false;
  const restoreOnce = () => { const first = !restored; restored = true; return first ? restore() : redraw(); };
  drawAll().then(() => {
    byId('score').on('plotly_afterplot', () => player && cursor(player.now));
    byId('score').on('plotly_click', (event) => {
      const point = event.points[0];
      if (point.curveNumber === RUN_TRACE) choose(data.keyframes[point.pointIndex]);
      else chooseFrame(frameAt(data.run, point.x));
    });
    document.body.dataset.ready = 'true';
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
}
