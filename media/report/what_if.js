// What other detector settings would have chosen, and why a frame is a keyframe or is not.
// Repeats kf_imitation/keyframe/{selector,score_smoother,*_detector,spacing}.py; tests hold both to
// each other (test/unit/test_report_what_if.py, test/e2e/test_report_page.py).
'use strict';

const TOLERANCE_NS = 500000; // of the look-ahead
const SPACING_TOLERANCE_NS = 1000;
const RIGHT_FRACTION = 0.5;
const LEVEL_FRACTION = 0.2;
const STILL_FRACTION = 0.5;
const REST_FRACTION = 0.3;
const NEAR_FRACTION = 0.5;
const FIRST_FRACTION = 0.1;
const STRAIGHT_FRACTION = 0.3;
const MEMORY_S = 3;
const CAUSAL = ['travel', 'combined']; // modes that wait for nothing
const SOFTNESS = 0.2;
const BLENDSHAPES = 51; // of a change vector; the head's rotation follows
const ROTATION_WEIGHT = 2;
const PAIR_S = 0.2; // docs/keyframes.md, Measures

// What was known of a frame's score when `newest` was the newest frame.
function estimate(run, frame, newest) {
  const known = run.ahead[frame];
  return known[Math.min(newest - frame, known.length - 1)];
}

// Each frame in order: its final score, the scores ahead of it [frame, score] when it is judged,
// and the newest frame at that time. The selector and its smoother, over a whole run.
function judged(run, settings) {
  const count = run.stamp_ns.length;
  if (CAUSAL.includes(settings.mode)) {
    return run.at_once.map((score, frame) => ({ frame, score, ahead: [], newest: frame }));
  }
  const limit = Math.round(settings.commit_delay_s * 1e9) + TOLERANCE_NS;
  const all = [];
  let waiting = [];
  const finish = (ready, known, newest) => {
    for (let i = 0; i < ready; i++) {
      const frame = waiting[i], ahead = [];
      for (let k = i + 1; k < waiting.length; k++) {
        // The frame that was waited for counts even when it came late.
        if (run.stamp_ns[waiting[k]] > run.stamp_ns[frame] + limit && ahead.length) break;
        ahead.push([waiting[k], estimate(run, waiting[k], known)]);
        if (run.stamp_ns[waiting[k]] > run.stamp_ns[frame] + limit) break;
      }
      all.push({ frame, score: estimate(run, frame, known), ahead, newest });
    }
    waiting = waiting.slice(ready);
  };
  for (let i = 0; i < count; i++) {
    if (run.ahead[i] === null) {
      finish(waiting.length, i - 1, i);
      all.push({ frame: i, score: null, ahead: [], newest: i });
      continue;
    }
    waiting.push(i);
    const due = run.stamp_ns[i] + run.dt_ns[i];
    let ready = 0;
    while (ready < waiting.length - 1 && due > run.stamp_ns[waiting[ready]] + limit) ready++;
    if (ready) finish(ready, i, i);
  }
  finish(waiting.length, count - 1, count - 1);
  return all;
}

function isFar(apartNs, intervalNs, spacingS) {
  return apartNs >= spacingS * 1e9 - Math.floor(intervalNs / 2) - SPACING_TOLERANCE_NS;
}

function makeSpacing(run, settings) {
  let last = null;
  return {
    // Null when allowed, else why not.
    refusal(frame, intervalNs) {
      if (last === null) return null;
      const apart = run.stamp_ns[frame] - run.stamp_ns[last];
      return isFar(apart, intervalNs, settings.spacing_s) ? null : ['spacing', last, apart * 1e-9];
    },
    take(frame) { last = frame; },
  };
}

function detectPeaks(run, settings, stream, tell) {
  const spacing = makeSpacing(run, settings);
  const found = [];
  let previous = null, handedOn = null, hills = [];
  for (const item of stream) {
    const before = previous, handed = handedOn, height = item.score;
    previous = item;
    handedOn = null;
    if (height === null) { previous = null; hills = []; tell(item, ['none']); continue; }
    let lowest = height;
    while (hills.length && hills[hills.length - 1][0] <= height) {
      lowest = Math.min(lowest, hills.pop()[1]);
    }
    hills.push([height, lowest]);
    let left = height - lowest;
    if (before === null) { tell(item, ['first']); continue; }
    if (height <= before.score) {
      if (handed === null) { tell(item, ['falling', before.score]); continue; }
      left = handed - (before.score - height);
    }
    const interval = run.stamp_ns[item.frame] - run.stamp_ns[before.frame];
    const right = dropAhead(run, item, interval, settings);
    if (right.rival !== null) { handedOn = left; tell(item, ['higher', ...right.rival]); continue; }
    if (left < settings.prominence) { tell(item, ['rise', left]); continue; }
    if (height < settings.threshold) { tell(item, ['threshold']); continue; }
    if (right.drop <= 0 || right.drop < RIGHT_FRACTION * settings.prominence) {
      tell(item, ['drop', right.drop]);
      continue;
    }
    const refusal = spacing.refusal(item.frame, interval);
    if (refusal) { tell(item, refusal); continue; }
    spacing.take(item.frame);
    found.push({ ...item, prominence: Math.min(left, right.drop) });
    tell(item, ['chosen', left, right.drop]);
  }
  return found;
}

function dropAhead(run, item, interval, settings) {
  const height = item.score;
  let drop = 0, rival = null;
  for (const [frame, other] of item.ahead) {
    if (rival !== null && other < rival[1]) break;
    if (other > height) {
      if (drop < settings.prominence) return { drop, rival: [frame, other] };
      rival = [frame, other];
    }
    drop = Math.max(drop, height - other);
  }
  if (rival === null) return { drop, rival };
  const apart = run.stamp_ns[rival[0]] - run.stamp_ns[item.frame];
  return { drop, rival: isFar(apart, interval, settings.spacing_s) ? null : rival };
}

function detectSettles(run, settings, stream, tell) {
  const spacing = makeSpacing(run, settings);
  const found = [];
  let phase = 'rest', extreme = null, lastNs = 0;
  for (const item of stream) {
    const height = item.score;
    if (height === null) { phase = 'rest'; extreme = null; tell(item, ['none']); continue; }
    const interval = run.stamp_ns[item.frame] - lastNs;
    lastNs = run.stamp_ns[item.frame];
    if (extreme === null) { extreme = height; tell(item, ['first']); continue; }
    if (phase === 'move') {
      if (height < extreme && extreme - height >= settings.prominence) phase = 'end';
      else { extreme = Math.max(extreme, height); tell(item, ['moving', extreme - height]); }
    } else if (phase === 'rest') {
      const risen = height - extreme;
      if (risen > 0 && risen >= settings.prominence && height >= settings.threshold) {
        phase = 'move';
        extreme = height;
        tell(item, ['moving', 0]);
      } else {
        extreme = Math.min(extreme, height);
        tell(item, ['resting', risen]);
      }
    }
    if (phase !== 'end') continue;
    const lower = lowerAhead(item, settings);
    if (lower !== null) { tell(item, ['lower', ...lower]); continue; }
    phase = 'rest';
    extreme = height;
    const refusal = spacing.refusal(item.frame, interval);
    if (refusal) { tell(item, refusal); continue; }
    spacing.take(item.frame);
    found.push({ ...item, prominence: 0 });
    tell(item, ['settled']);
  }
  return found;
}

function lowerAhead(item, settings) {
  for (const [frame, other] of item.ahead) {
    const risen = other - item.score;
    if (risen > 0 && risen >= settings.prominence) return null;
    if (risen < -LEVEL_FRACTION * settings.prominence) return [frame, other];
  }
  return null;
}

function rawOfChange(change) {
  const length = (part) => Math.hypot(...part);
  return length(change.slice(0, BLENDSHAPES)) + ROTATION_WEIGHT * length(change.slice(BLENDSHAPES));
}

function detectTravels(run, settings, stream, tell) {
  const spacing = makeSpacing(run, settings);
  const found = [];
  // unseen: the face in view has not been shown yet; moved: the vector from the face shown last
  let travelled = 0, moved = null, unseen = true, last = null;
  for (const item of stream) {
    const score = item.score, change = run.change_at_once[item.frame];
    if (score === null) {
      travelled = 0;
      moved = null;
      unseen = true;
      last = null;
      tell(item, ['none']);
      continue;
    }
    const interval = last === null ? 0 : run.stamp_ns[item.frame] - last;
    last = run.stamp_ns[item.frame];
    const kept = Math.exp(-interval * 1e-9 / MEMORY_S), span = run.dt_ns[item.frame] * 1e-9 * 30;
    travelled *= kept;
    if (score >= Math.max(settings.threshold, STILL_FRACTION * settings.prominence)) {
      travelled += -SOFTNESS * Math.log1p(-Math.min(score, 1 - 1e-6)) * span;
    }
    const near = NEAR_FRACTION * settings.travel_threshold;
    let distance = travelled;
    if (change !== null) {
      moved = change.map((value, i) => (moved === null ? 0 : moved[i] * kept) + value * span);
      distance = rawOfChange(moved);
    }
    if (unseen) {
      const least = FIRST_FRACTION * settings.travel_threshold;
      if (distance < least) { tell(item, ['still', distance, least]); continue; }
      if (distance < Math.min(STRAIGHT_FRACTION * travelled, near)) { tell(item, ['trembles']); continue; }
    } else {
      const ends = settings.mode === 'combined' && score < settings.prominence;
      const needed = settings.travel_threshold * (ends ? REST_FRACTION : 1);
      if (travelled < needed) { tell(item, ['travelled', travelled, needed]); continue; }
      const least = Math.min(needed, near);
      if (distance < least) { tell(item, ['near', distance, least]); continue; }
    }
    const refusal = spacing.refusal(item.frame, interval);
    if (refusal) { tell(item, refusal); continue; }
    tell(item, unseen ? ['begins'] : ['arrived', travelled, distance]);
    travelled = 0;
    moved = null;
    unseen = false;
    spacing.take(item.frame);
    found.push({ ...item, prominence: 0 });
  }
  return found;
}

const DETECTORS = {
  peak: detectPeaks, settle: detectSettles, travel: detectTravels, combined: detectTravels,
};

// Search a run. Returns found (frame, score, prominence, newest: the frame that decided), the
// final score of every frame, and by frame the reason code with its numbers.
function search(run, settings) {
  const stream = judged(run, settings);
  const reasons = new Array(run.stamp_ns.length).fill(null);
  const scores = new Array(run.stamp_ns.length).fill(null);
  for (const item of stream) scores[item.frame] = item.score;
  const tell = (item, reason) => { reasons[item.frame] = reason; };
  const found = DETECTORS[settings.mode](run, settings, stream, tell);
  return { found, scores, reasons };
}

function detect(run, settings) {
  return search(run, settings).found.map((keyframe) => keyframe.frame);
}

// The reason of one frame as a sentence.
function sentence(run, settings, result, frame) {
  const reason = result.reasons[frame];
  const n = (value) => value.toFixed(3);
  const at = (other) => `${run.time_s[other].toFixed(2)} s`;
  const need = `needs ${n(settings.prominence)}`;
  if (reason === null) return 'No score yet.';
  const [code, a, b] = reason;
  const words = {
    none: () => 'No score: no face, or no frame to compare with.',
    first: () => 'First frame with a score: nothing before it to rise from.',
    falling: () => `No peak: the frame before scored higher (${n(a)}).`,
    higher: () => `Not yet the peak: ${n(b)} was expected at ${at(a)}.`,
    rise: () => `Too flat: it rises ${n(a)} over the valley before it, ${need}.`,
    threshold: () => `Below the threshold of ${n(settings.threshold)}.`,
    drop: () => `Too flat: it falls ${n(a)} within the commit delay, needs ${n(RIGHT_FRACTION * settings.prominence)}.`,
    spacing: () => `Too close: the keyframe at ${at(a)} is ${b.toFixed(2)} s before it, the spacing is ${settings.spacing_s.toFixed(2)} s.`,
    chosen: () => `A peak: it rises ${n(a)} over the valley before it (${need}) and falls ${n(b)} within the commit delay.`,
    moving: () => `The movement is not over: ${n(a)} below its fastest, ${need}.`,
    resting: () => `At rest: ${n(Math.max(0, a))} over the quietest moment, a movement ${need}.`,
    lower: () => `The movement still calms down: ${n(b)} is expected at ${at(a)}.`,
    settled: () => 'The movement ends here: nothing lower follows within the commit delay.',
    travelled: () => `On the way: ${a.toFixed(2)} of ${b.toFixed(2)} travelled since the last keyframe.`,
    still: () => `The face that came into view has hardly moved yet: ${n(a)}, needs ${n(b)}.`,
    trembles: () => 'The face that came into view goes to and fro, as camera noise does.',
    near: () => `Too near the face shown last: ${n(a)} away from it, needs ${n(b)}.`,
    begins: () => 'A face came into view and moves: it is imitated at once.',
    arrived: () => `Far enough: ${a.toFixed(2)} travelled since the last keyframe, ${b.toFixed(2)} away from it.`,
  };
  return words[code]();
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

if (typeof module !== 'undefined') module.exports = { detect, search, sentence, compare };
