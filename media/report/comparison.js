// The page about two runs: their scores on one time axis, keyframes in common and of one alone.
'use strict';

const RUN_NAMES = ['A', 'B'];

function comparedTraces(runs) {
  const c = colours(), traces = [];
  runs.forEach((run, which) => {
    const name = RUN_NAMES[which], colour = which ? c.third : c.score;
    traces.push({ x: run.run.time_s, y: run.result.scores, name: `score of ${name}`, mode: 'lines',
      line: { color: colour, width: 1.6, dash: which ? 'dot' : 'solid' }, meta: { which },
      hovertemplate: `${name}: %{x:.2f} s, score %{y:.3f}<extra></extra>` });
  });
  runs.forEach((run, which) => {
    const name = RUN_NAMES[which], colour = which ? c.third : c.score;
    traces.push({ x: run.keyframes.map((k) => k.time_s), y: run.keyframes.map((k) => k.score),
      name: `keyframes of ${name} (hollow: of ${name} alone)`, mode: 'markers', meta: { which, keyframes: true },
      marker: { symbol: which ? 'diamond' : 'circle', size: 9, line: { color: colour, width: 2 },
        color: run.keyframes.map((k) => (k.partner ? colour : c.paper)) },
      customdata: run.keyframes.map((k) => k.number),
      hovertemplate: `${name}: keyframe %{customdata}, %{x:.2f} s<extra></extra>` });
  });
  const truth_s = runs[0].truth_s || runs[1].truth_s;
  if (truth_s) {
    traces.push({ x: truth_s, y: truth_s.map(() => 0.02), name: 'labels', mode: 'markers', meta: {},
      marker: { symbol: 'triangle-up', color: c.soft, size: 9 }, hovertemplate: 'label, %{x:.2f} s<extra></extra>' });
  }
  return traces;
}

// What one run made of a moment: its keyframe there, or why it chose none.
function atMoment(run, time_s) {
  const frame = frameAt(run.run, time_s), score = run.result.scores[frame] ?? null;
  return `score ${score === null ? 'none' : score.toFixed(3)}. ${sentence(run.run, run.settings, run.result, frame)}`;
}

function tellMoment(runs, title, time_s, more) {
  byId('why').replaceChildren(element('h3', title), list([
    ...more, ...runs.map((run, which) => [`${RUN_NAMES[which]} at ${time_s.toFixed(2)} s`, atMoment(run, time_s)])]));
}

function startComparison(data) {
  const runs = data.runs;
  for (const [a, b] of data.pairs) {
    const [of_a, of_b] = [runs[0].keyframes[a], runs[1].keyframes[b]];
    of_a.partner = of_b;
    of_b.partner = of_a;
  }
  for (const run of runs) run.result = search(run.run, run.settings);
  const longer = [...runs].sort((a, b) => b.run.time_s.length - a.run.time_s.length)[0];
  const alone = runs.map((run) => run.keyframes.filter((k) => !k.partner).length);
  byId('common').textContent = `${data.pairs.length} in common (at most ${PAIR_S} s apart), ${alone[0]} only in A, ${alone[1]} only in B (outlined).`;

  const choose = (which, keyframe) => {
    strips.forEach((buttons, side) => {
      const chosen = side === which ? keyframe : keyframe.partner;
      press(buttons, chosen ? chosen.number - 1 : -1);
    });
    const { partner } = keyframe, other = RUN_NAMES[1 - which];
    const words = partner
      ? `keyframe ${partner.number} at ${partner.time_s.toFixed(2)} s (${signed(partner.time_s - keyframe.time_s, 2)} s)`
      : 'no keyframe there';
    tellMoment(runs, `Keyframe ${keyframe.number} of ${RUN_NAMES[which]} at ${keyframe.time_s.toFixed(2)} s`,
      keyframe.time_s, [[`in ${other}`, words]]);
    show(longer, keyframe.time_s, 3);
  };
  const strips = runs.map((run, which) => {
    const place = byId(which ? 'strip-b' : 'strip-a');
    const buttons = strip(run, (keyframe) => choose(which, keyframe), place, `${RUN_NAMES[which]} `);
    buttons.forEach((button, i) => button.classList.toggle('alone', !run.keyframes[i].partner));
    return buttons;
  });
  viewButtons(longer);

  const drawAll = async () => {
    const made = layout({ height: innerWidth < 600 ? 300 : 360, uirevision: 'score' });
    made.yaxis.range = [0, 1.02];
    await Plotly.react('score', comparedTraces(runs), made, CONFIG);
    curves('channels', data.channels, '');
    curves('joints', data.joints, 'rad');
  };
  drawAll().then(() => {
    byId('score').on('plotly_click', (event) => {
      const point = event.points[0], { which, keyframes } = point.data.meta;
      if (keyframes) choose(which, runs[which].keyframes[point.pointIndex]);
      else tellMoment(runs, `At ${point.x.toFixed(2)} s`, point.x, []);
    });
    document.body.dataset.ready = 'true';
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
}
