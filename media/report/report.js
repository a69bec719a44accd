// The report of a run: charts, and what other detector settings would have chosen.
// The detectors repeat kf_imitation/keyframe/*_detector.py; test/unit/test_report.py compares them.
'use strict';

const TOLERANCE_NS = 500000; // of the look-ahead
const SPACING_TOLERANCE_NS = 1000;
const RIGHT_SHARE = 0.5;
const LEVEL_SHARE = 0.2;
const STILL_SHARE = 0.5;
const SOFTNESS = 0.2;
const PAIR_S = 0.2; // benchmark.md, section 2

function isFar(apartNs, intervalNs, spacingS) {
  return apartNs >= spacingS * 1e9 - Math.floor(intervalNs / 2) - SPACING_TOLERANCE_NS;
}

function makeSpacing() {
  let last = null;
  return {
    allows: (stamp, interval, spacingS) => last === null || isFar(stamp - last, interval, spacingS),
    take: (stamp) => { last = stamp; },
  };
}

// Frames that are known when frame i is judged; at least one.
function lookAhead(run, i, delayS) {
  const limit = run.stamp_ns[i] + Math.round(delayS * 1e9) + TOLERANCE_NS;
  let end = i + 1;
  while (end < run.stamp_ns.length && run.score[end] !== null && run.stamp_ns[end] <= limit) end++;
  if (end === i + 1 && end < run.stamp_ns.length && run.score[end] !== null) end++;
  return [i + 1, end];
}

function detectPeaks(run, settings) {
  const found = [];
  const spacing = makeSpacing();
  let previous = -1, handedOn = null, hills = [];
  for (let i = 0; i < run.score.length; i++) {
    const before = previous, handed = handedOn, height = run.score[i];
    previous = i;
    handedOn = null;
    if (height === null) { previous = -1; hills = []; continue; }
    let lowest = height;
    while (hills.length && hills[hills.length - 1][0] <= height) {
      lowest = Math.min(lowest, hills.pop()[1]);
    }
    hills.push([height, lowest]);
    let leftDrop = height - lowest;
    if (before < 0) continue;
    if (height <= run.score[before]) {
      if (handed === null) continue;
      leftDrop = handed - (run.score[before] - height);
    }
    const interval = run.stamp_ns[i] - run.stamp_ns[before];
    const rightDrop = dropAhead(run, i, interval, settings);
    if (rightDrop === null) { handedOn = leftDrop; continue; }
    if (leftDrop < settings.prominence || height < settings.threshold) continue;
    if (rightDrop <= 0 || rightDrop < RIGHT_SHARE * settings.prominence) continue;
    if (!spacing.allows(run.stamp_ns[i], interval, settings.spacing_s)) continue;
    spacing.take(run.stamp_ns[i]);
    found.push(i);
  }
  return found;
}

function dropAhead(run, i, interval, settings) {
  const [start, end] = lookAhead(run, i, settings.commit_delay_s);
  const height = run.score[i];
  let drop = 0, rival = i;
  for (let k = start; k < end; k++) {
    const other = run.score[k];
    if (rival !== i && other < run.score[rival]) break;
    if (other > height) {
      if (drop < settings.prominence) return null;
      rival = k;
    }
    drop = Math.max(drop, height - other);
  }
  const apart = run.stamp_ns[rival] - run.stamp_ns[i];
  return rival === i || isFar(apart, interval, settings.spacing_s) ? drop : null;
}

function detectSettles(run, settings) {
  const found = [];
  const spacing = makeSpacing();
  let phase = 'rest', extreme = null, lastNs = 0;
  for (let i = 0; i < run.score.length; i++) {
    const height = run.score[i];
    if (height === null) { phase = 'rest'; extreme = null; continue; }
    const interval = run.stamp_ns[i] - lastNs;
    lastNs = run.stamp_ns[i];
    if (extreme === null) { extreme = height; continue; }
    if (phase === 'move') {
      if (height < extreme && extreme - height >= settings.prominence) phase = 'end';
      else extreme = Math.max(extreme, height);
    } else if (phase === 'rest') {
      const risen = height - extreme;
      if (risen > 0 && risen >= settings.prominence && height >= settings.threshold) {
        phase = 'move';
        extreme = height;
      } else extreme = Math.min(extreme, height);
    }
    if (phase !== 'end' || !isLevel(run, i, settings)) continue;
    phase = 'rest';
    extreme = height;
    if (!spacing.allows(run.stamp_ns[i], interval, settings.spacing_s)) continue;
    spacing.take(run.stamp_ns[i]);
    found.push(i);
  }
  return found;
}

function isLevel(run, i, settings) {
  const [start, end] = lookAhead(run, i, settings.commit_delay_s);
  for (let k = start; k < end; k++) {
    const risen = run.score[k] - run.score[i];
    if (risen > 0 && risen >= settings.prominence) return true;
    if (risen < -LEVEL_SHARE * settings.prominence) return false;
  }
  return true;
}

function detectTravels(run, settings) {
  const found = [];
  const spacing = makeSpacing();
  let travelled = 0, last = null;
  for (let i = 0; i < run.score.length; i++) {
    const score = run.score[i];
    if (score === null) { travelled = 0; last = null; continue; }
    const interval = last === null ? 0 : run.stamp_ns[i] - last;
    last = run.stamp_ns[i];
    const dt = i ? (run.stamp_ns[i] - run.stamp_ns[i - 1]) * 1e-9 : 0;
    if (score >= Math.max(settings.threshold, STILL_SHARE * settings.prominence)) {
      travelled += -SOFTNESS * Math.log1p(-Math.min(score, 1 - 1e-6)) * dt * 30;
    }
    if (travelled < settings.travel_quantum) continue;
    if (!spacing.allows(run.stamp_ns[i], interval, settings.spacing_s)) continue;
    travelled = 0;
    spacing.take(run.stamp_ns[i]);
    found.push(i);
  }
  return found;
}

function detect(run, settings) {
  const search = { peak: detectPeaks, settle: detectSettles, travel: detectTravels };
  return search[settings.mode](run, settings);
}

// One-to-one pairs within PAIR_S: most pairs first, then least total distance. Both lists rise, so
// the best assignment never crosses and a table over prefixes finds it.
function compare(truthS, foundS, fps) {
  const rows = truthS.length, columns = foundS.length;
  const best = Array.from({ length: rows + 1 }, () => new Array(columns + 1).fill(null));
  const better = (a, b) => (a[0] > b[0] || (a[0] === b[0] && a[1] <= b[1]) ? a : b);
  for (let i = 0; i <= rows; i++) {
    for (let k = 0; k <= columns; k++) {
      if (!i || !k) { best[i][k] = [0, 0]; continue; }
      let value = better(best[i - 1][k], best[i][k - 1]);
      const distance = Math.abs(truthS[i - 1] - foundS[k - 1]);
      if (distance <= PAIR_S + 0.5 / fps) {
        const [pairs, total] = best[i - 1][k - 1];
        value = better([pairs + 1, total + distance], value);
      }
      best[i][k] = value;
    }
  }
  const [pairs, total] = best[rows][columns];
  return {
    count: Math.abs(rows - columns),
    distance: pairs ? (total / pairs) * fps : null,
    pairs,
  };
}

function seconds(run, indices) {
  return indices.map((i) => run.time_s[i]);
}

if (typeof module !== 'undefined') module.exports = { detect, compare };

// --- the page ----------------------------------------------------------------------------------

function colours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(name).trim();
  return { ink: get('--ink'), soft: get('--soft'), grid: get('--grid'), score: get('--score'),
    keyframe: get('--keyframe'), whatif: get('--whatif'), paper: get('--paper') };
}

function layout(extra) {
  const c = colours();
  const axis = { gridcolor: c.grid, zeroline: false, color: c.soft, automargin: true };
  return Object.assign({
    margin: { l: 44, r: 12, t: 10, b: 34 }, paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)', font: { color: c.ink, family: 'system-ui, sans-serif', size: 12 },
    xaxis: Object.assign({ ticksuffix: ' s' }, axis), yaxis: Object.assign({}, axis),
    hovermode: 'closest', showlegend: true,
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: c.soft, activecolor: c.ink },
    legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0 },
  }, extra);
}

const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ['lasso2d', 'select2d'] };

function scoreChart(data, chosen) {
  const c = colours(), run = data.run, settings = data.settings;
  const feet = { x: [], y: [] };
  for (const k of data.keyframes) {
    if (k.prominence > 0) {
      feet.x.push(k.time_s, k.time_s, null);
      feet.y.push(k.score - k.prominence, k.score, null);
    }
  }
  const traces = [
    { x: run.time_s, y: run.score, name: 'score', mode: 'lines', line: { color: c.score, width: 1.6 },
      fill: 'tozeroy', fillcolor: c.score + '22', hovertemplate: '%{x:.2f} s, score %{y:.3f}<extra></extra>' },
    { x: feet.x, y: feet.y, name: 'prominence', mode: 'lines', hoverinfo: 'skip',
      line: { color: c.keyframe, width: 1 } },
    { x: data.keyframes.map((k) => k.time_s), y: data.keyframes.map((k) => k.score),
      name: 'keyframes of the run', mode: 'markers', marker: { color: c.keyframe, size: 9 },
      customdata: data.keyframes.map((k) => [k.number, k.prominence, k.commit_delay_s]),
      hovertemplate: 'keyframe %{customdata[0]}, %{x:.2f} s<br>score %{y:.3f}, prominence ' +
        '%{customdata[1]:.3f}<br>known %{customdata[2]:.2f} s later<extra></extra>' },
    { x: seconds(run, chosen), y: chosen.map((i) => run.score[i]), name: 'what if', mode: 'markers',
      marker: { color: 'rgba(0,0,0,0)', size: 15, line: { color: c.whatif, width: 2 } },
      hovertemplate: 'what if, %{x:.2f} s<extra></extra>' },
  ];
  if (data.truth_s) {
    traces.push({ x: data.truth_s, y: data.truth_s.map(() => 0.02), name: 'labels', mode: 'markers',
      marker: { symbol: 'triangle-up', color: c.soft, size: 9 },
      hovertemplate: 'label, %{x:.2f} s<extra></extra>' });
  }
  const shapes = settings.threshold > 0 ? [{ type: 'line', xref: 'paper', x0: 0, x1: 1,
    y0: settings.threshold, y1: settings.threshold, line: { color: c.soft, dash: 'dash', width: 1 } }] : [];
  const old = document.getElementById('score').layout;
  const keep = old && old.xaxis && !old.xaxis.autorange ? { range: old.xaxis.range.slice() } : {};
  const made = layout({ height: 330, shapes, uirevision: 'score' });
  Object.assign(made.xaxis, keep);
  made.yaxis.range = [0, 1.02];
  Plotly.react('score', traces, made, CONFIG);
}

function curves(id, groups, yTitle) {
  const c = colours();
  const palette = [c.score, c.keyframe, '#2f9e62', '#a05fd0', '#c79a1b', '#5b7083'];
  const place = document.getElementById(id);
  place.replaceChildren();
  // All boxes first: a chart takes the width that its box has when it is drawn.
  const canvases = groups.map((group) => {
    const box = document.createElement('div');
    box.className = 'chart';
    const title = document.createElement('h3');
    title.textContent = group.title;
    const canvas = document.createElement('div');
    box.append(title, canvas);
    place.append(box);
    return canvas;
  });
  groups.forEach((group, index) => {
    const traces = [];
    group.lines.forEach((line, number) => {
      const colour = palette[number % palette.length];
      traces.push({ x: line.time_s, y: line.value, name: line.name, mode: 'lines',
        line: { color: colour, width: 1.5 }, hovertemplate: `${line.name} %{y:.3f}, %{x:.2f} s<extra></extra>` });
      if (line.other) {
        traces.push({ x: line.other_time_s || line.time_s, y: line.other, name: line.other_name,
          mode: line.other_mode || 'lines', showlegend: number === 0,
          line: { color: line.other_mode ? colour : c.soft, width: 1, dash: 'dot' },
          marker: { color: colour, size: 7, line: { color: c.paper, width: 1 } },
          hovertemplate: `${line.other_name} ${line.name} %{y:.3f}, %{x:.2f} s<extra></extra>` });
      }
    });
    const made = layout({ height: 210 });
    made.yaxis.title = { text: yTitle, standoff: 4 };
    Plotly.newPlot(canvases[index], traces, made, Object.assign({}, CONFIG, { displayModeBar: false }));
  });
}

function explain(data, keyframe) {
  const place = document.getElementById('why');
  const list = (items) => '<dl>' + items.map(([a, b]) => `<dt>${a}</dt><dd>${b}</dd>`).join('') + '</dl>';
  const near = data.keyframes.filter((k) => k !== keyframe)
    .sort((a, b) => Math.abs(a.time_s - keyframe.time_s) - Math.abs(b.time_s - keyframe.time_s)).slice(0, 2)
    .map((k) => `${k.number} (${(k.time_s - keyframe.time_s).toFixed(2)} s)`).join(', ');
  const items = [
    ['score', `${keyframe.score.toFixed(3)}: higher than ${keyframe.rank} % of the frames`],
    ['prominence', keyframe.prominence > 0
      ? `${keyframe.prominence.toFixed(3)}, had to pass ${keyframe.threshold.toFixed(3)}` : 'not used by this mode'],
    ['known', `${keyframe.commit_delay_s.toFixed(2)} s later`],
    ['neighbours', near || 'none'],
  ];
  if (keyframe.shares) {
    items.push(['share of the change', `expression ${keyframe.shares.expression} %, head motion ${keyframe.shares.head} %`]);
  }
  if (keyframe.changes.length) {
    items.push(['what changed most', keyframe.changes.map(([n, v]) => `${n} ${v > 0 ? '+' : '−'}${Math.abs(v).toFixed(3)}`).join(', ')]);
  }
  if (keyframe.flow_px) items.push(['flow in the crop', `${keyframe.flow_px.toFixed(2)} px`]);
  place.innerHTML = `<h3>Keyframe ${keyframe.number} at ${keyframe.time_s.toFixed(2)} s</h3>` + list(items);
  Plotly.relayout('score', { 'xaxis.range': [keyframe.time_s - 1.5, keyframe.time_s + 1.5] });
  document.querySelectorAll('#strip button').forEach((button, i) => {
    button.setAttribute('aria-pressed', String(i + 1 === keyframe.number));
  });
}

function start(data) {
  const fields = ['prominence', 'threshold', 'spacing_s', 'commit_delay_s', 'travel_quantum'];
  const original = Object.assign({}, data.settings);
  const redraw = () => {
    const began = performance.now();
    data.settings.mode = document.getElementById('mode').value;
    for (const name of fields) {
      data.settings[name] = Number(document.getElementById(name).value);
      document.getElementById(name + '-value').textContent = data.settings[name].toFixed(2);
    }
    const chosen = detect(data.run, data.settings);
    scoreChart(data, chosen);
    const truth = data.truth_s || data.keyframes.map((k) => k.time_s);
    const result = compare(truth, seconds(data.run, chosen), data.fps);
    document.getElementById('found').textContent = chosen.length;
    document.getElementById('en').textContent = result.count;
    document.getElementById('el').textContent = result.distance === null ? '–' : result.distance.toFixed(2);
    document.body.dataset.redrawMs = (performance.now() - began).toFixed(1);
  };
  document.getElementById('mode').value = original.mode;
  document.getElementById('mode').addEventListener('change', redraw);
  for (const name of fields) {
    document.getElementById(name).value = original[name];
    document.getElementById(name).addEventListener('input', redraw);
  }
  document.getElementById('reset').addEventListener('click', () => {
    document.getElementById('mode').value = original.mode;
    for (const name of fields) document.getElementById(name).value = original[name];
    redraw();
  });
  document.getElementById('whole').addEventListener('click', () =>
    Plotly.relayout('score', { 'xaxis.autorange': true }));
  const strip = document.getElementById('strip');
  for (const keyframe of data.keyframes) {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-pressed', 'false');
    if (keyframe.picture) {
      const image = document.createElement('img');
      image.src = keyframe.picture;
      image.alt = `keyframe ${keyframe.number} with landmarks`;
      button.append(image);
    }
    const text = document.createElement('span');
    text.textContent = `${keyframe.number} · ${keyframe.time_s.toFixed(2)} s`;
    button.append(text);
    button.addEventListener('click', () => explain(data, keyframe));
    strip.append(button);
  }
  const draw = () => {
    redraw();
    curves('channels', data.channels, '');
    curves('joints', data.joints, 'rad');
  };
  draw();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  document.body.dataset.ready = 'true';
}
