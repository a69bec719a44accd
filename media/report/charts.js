// The charts of the report, drawn by Plotly.
'use strict';

function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ['ink', 'soft', 'grid', 'score', 'keyframe', 'whatif', 'paper', 'third'];
  return Object.fromEntries(names.map((n) => [n, style.getPropertyValue('--' + n).trim()]));
}

function layout(extra) {
  const c = colours();
  const axis = { gridcolor: c.grid, zeroline: false, color: c.soft, automargin: true };
  return Object.assign({
    margin: { l: 44, r: 12, t: 10, b: 34 }, paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)', font: { color: c.ink, family: 'system-ui, sans-serif', size: 12 },
    xaxis: Object.assign({ ticksuffix: ' s', nticks: innerWidth < 600 ? 5 : 12 }, axis),
    yaxis: Object.assign({}, axis), hovermode: 'closest', showlegend: true,
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: c.soft, activecolor: c.ink },
    legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0, font: { size: innerWidth < 600 ? 11 : 12 } },
  }, extra);
}

// Nothing leaves this machine: no button that uploads the chart, and no place to upload it to.
const CONFIG = {
  responsive: true, displaylogo: false, modeBarButtonsToRemove: ['lasso2d', 'select2d'],
  showSendToCloud: false, plotlyServerURL: '',
};
const SCORE_TRACE = 0, RUN_TRACE = 2, WHAT_IF_TRACE = 3;

function scoreTraces(data, result, changed) {
  const c = colours(), run = data.run;
  const feet = { x: [], y: [] };
  for (const k of data.keyframes) {
    if (k.prominence > 0) {
      feet.x.push(k.time_s, k.time_s, null);
      feet.y.push(k.score - k.prominence, k.score, null);
    }
  }
  const shown = changed ? result.found : [];
  const traces = [
    { x: run.time_s, y: result.scores, name: 'score', mode: 'lines', line: { color: c.score, width: 1.6 },
      fill: 'tozeroy', fillcolor: c.score + '22', hovertemplate: '%{x:.2f} s, score %{y:.3f}<extra></extra>' },
    { x: feet.x, y: feet.y, name: 'prominence', mode: 'lines', hoverinfo: 'skip',
      line: { color: c.keyframe, width: 1 } },
    { x: data.keyframes.map((k) => k.time_s), y: data.keyframes.map((k) => k.score),
      name: 'keyframes of the run', mode: 'markers', marker: { color: c.keyframe, size: 9 },
      customdata: data.keyframes.map((k) => [k.number, k.prominence, k.commit_delay_s]),
      hovertemplate: 'keyframe %{customdata[0]}, %{x:.2f} s<br>score %{y:.3f}, prominence ' +
        '%{customdata[1]:.3f}<br>known %{customdata[2]:.2f} s later<extra></extra>' },
    { x: shown.map((k) => run.time_s[k.frame]), y: shown.map((k) => k.score), name: 'what if',
      mode: 'markers', showlegend: changed,
      marker: { color: 'rgba(0,0,0,0)', size: 15, line: { color: c.whatif, width: 2 } },
      hovertemplate: 'what if, %{x:.2f} s<extra></extra>' },
  ];
  if (data.truth_s) {
    traces.push({ x: data.truth_s, y: data.truth_s.map(() => 0.02), name: 'labels', mode: 'markers',
      marker: { symbol: 'triangle-up', color: c.soft, size: 9 },
      hovertemplate: 'label, %{x:.2f} s<extra></extra>' });
  }
  return traces;
}

function scoreChart(data, settings, result, changed) {
  const c = colours();
  const place = document.getElementById('score');
  const shapes = settings.threshold > 0 ? [{ type: 'line', xref: 'paper', x0: 0, x1: 1,
    y0: settings.threshold, y1: settings.threshold, line: { color: c.soft, dash: 'dash', width: 1 },
    label: { text: 'threshold', textposition: 'end', font: { color: c.soft, size: 11 } } }] : [];
  const made = layout({ height: innerWidth < 600 ? 280 : 330, shapes, uirevision: 'score' });
  const old = place.layout;
  if (old && old.xaxis && !old.xaxis.autorange) made.xaxis.range = old.xaxis.range.slice();
  made.yaxis.range = [0, 1.02];
  return Plotly.react(place, scoreTraces(data, result, changed), made, CONFIG);
}

// Show a part of the run: its middle and its length [s]; no middle shows all.
function show(data, middle, length) {
  const end = data.run.time_s[data.run.time_s.length - 1] || 1;
  if (middle === undefined || length >= end) {
    return Plotly.relayout('score', { 'xaxis.autorange': true });
  }
  const low = Math.min(Math.max(middle - length / 2, -0.5), end + 0.5 - length);
  return Plotly.relayout('score', { 'xaxis.range': [low, low + length] });
}

function view() {
  const [low, high] = document.getElementById('score').layout.xaxis.range;
  return { middle: (low + high) / 2, length: high - low };
}

// One chart for each group; drawn when it comes near the window, because there are many.
function curves(id, groups, yTitle) {
  const place = document.getElementById(id);
  place.replaceChildren();
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      entry.target.draw();
    }
  }, { rootMargin: '300px' });
  for (const group of groups) {
    const box = document.createElement('div');
    box.className = 'chart';
    const title = document.createElement('h3');
    title.textContent = group.title;
    const canvas = document.createElement('div');
    canvas.className = 'canvas';
    canvas.draw = () => drawCurves(canvas, group, yTitle);
    box.append(title, canvas);
    place.append(box);
    near.observe(canvas);
  }
}

// On paper nothing comes nearer.
window.addEventListener('beforeprint', () => {
  for (const canvas of document.querySelectorAll('.canvas')) if (!canvas.data) canvas.draw();
});

function drawCurves(canvas, group, yTitle) {
  const c = colours();
  const palette = [c.score, c.keyframe, c.third, c.whatif, '#c79a1b', '#5b7083'];
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
  Plotly.newPlot(canvas, traces, made, Object.assign({}, CONFIG, { displayModeBar: false }));
}
