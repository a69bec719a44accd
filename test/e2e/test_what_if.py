"""The page finds what the runtime finds, whatever the settings: in node, and in a real browser."""

import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from kf_imitation.data_types import FrameScore
from kf_imitation.evaluation.metrics import pair
from kf_imitation.keyframe.scoring.pair_scorer import score_of_change
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.modes import MODES
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.replay.score_trace import provisional
from kf_imitation.reporting.data import what_if_run

SMOOTHINGS = (Smoothing(), Smoothing(0.03, 0.05), Smoothing(vectors=False))


def raw_scores(seed, count=130):
    """Movements with noise at 15 to 60 fps; some runs have jitter, lost frames and lost faces."""
    rng = np.random.default_rng(seed)
    fps = (15, 25, 30, 60)[seed % 4]
    speed = np.convolve(rng.random(count + 8) ** 6, np.hanning(9), 'valid')
    direction = rng.normal(size=54).astype(np.float32) / 8
    stamps = np.arange(count) / fps
    if seed % 3 == 1:
        stamps = stamps + rng.uniform(-0.2, 0.2, count) / fps
    kept = rng.random(count) > (0.1 if seed % 3 == 2 else 0)
    kept[0] = True
    scores, last = [], None
    for index in np.flatnonzero(kept):
        stamp_ns = round(stamps[index] * 1e9) + 1_700_000_000_000_000_000
        lost = seed % 2 and index in (0, 80, 81, 120)
        dt_s = 0.0 if last is None or lost else (stamp_ns - last) * 1e-9
        last = stamp_ns
        if dt_s == 0.0 or dt_s > 0.25:
            scores.append(FrameScore(int(index), stamp_ns, None))
            continue
        noise = rng.normal(size=54, scale=0.004).astype(np.float32)
        change = (direction * speed[index] + noise).astype(np.float32)
        scores.append(
            FrameScore(int(index), stamp_ns, score_of_change(change), dt_s=dt_s, change=change)
        )
    return scores


def settings_of(seed, mode):
    """Settings from one end of the sliders to the other."""
    rng = np.random.default_rng(1000 + seed)
    return DetectorSettings(
        mode,
        prominence=float(rng.choice([0.0, 0.05, 0.1, 0.2, 0.6])),
        threshold=float(rng.choice([0.0, 0.2, 0.6])),
        spacing_s=float(rng.choice([0.0, 0.2, 0.5, 2.0])),
        commit_delay_s=float(rng.choice([0.0, 0.05, 0.1, 0.17, 0.3, 1.0])),
        travel_threshold=float(rng.choice([0.1, 0.5, 1.0])),
    )


def cases(count=24):
    """Give (run of the page, its settings, frames and deciding frames of the runtime)."""
    for seed in range(count):
        raw, smoothing = raw_scores(seed), SMOOTHINGS[seed % 3]
        run = what_if_run(raw, provisional(raw, smoothing))
        for mode in MODES:
            settings = settings_of(seed, mode)
            yield run, asdict(settings), runtime_keyframes(raw, settings, smoothing)


def runtime_keyframes(raw, settings, smoothing):
    """Return [[place of the keyframe, place of the frame that decided it], …]."""
    selector = KeyframeSelector(settings, smoothing)
    keyframes = [k for score in raw for k in selector.push(score).keyframes]
    keyframes += selector.flush().keyframes
    place = {score.stamp_ns: i for i, score in enumerate(raw)}
    return [[place[k.stamp_ns], place[k.committed_stamp_ns]] for k in keyframes]


SCRIPT = Path(__file__).resolve().parents[2] / 'media' / 'report' / 'what_if.js'
FIND = """(cases) => cases.map(([run, settings]) => {
    const result = search(run, settings);
    const told = run.stamp_ns.map((_, i) => sentence(run, settings, result, i));
    return [result.found.map((k) => [k.frame, k.newest]), new Set(told).size];
})"""


@pytest.fixture(scope='module')
def all_cases():
    return list(cases())


def in_node(calls):
    """Run expressions on the functions of the page."""
    node = shutil.which('node')
    if node is None:
        pytest.skip('no node to run the script of the page')
    program = (
        f'const {{search, sentence, compare}} = require({json.dumps(str(SCRIPT))});'
        'const [source, argument] = JSON.parse(require("fs").readFileSync(0, "utf8"));'
        'console.log(JSON.stringify(eval(source)(argument)));'
    )
    done = subprocess.run(
        [node, '-e', program], input=json.dumps(calls), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(params=['node', 'chromium'])
def evaluate(request):
    """Evaluates a function of the page's scope on an argument."""
    if request.param == 'node':
        return lambda source, argument: in_node([source, argument])
    page = request.getfixturevalue('empty_page')
    page.add_script_tag(path=SCRIPT)
    return page.evaluate


def test_any_settings_give_the_keyframes_and_delays_of_the_runtime(evaluate, all_cases):
    results = evaluate(FIND, [[run, settings] for run, settings, _ in all_cases])
    for (found, _), (_, settings, expected) in zip(results, all_cases, strict=True):
        assert found == expected, settings
    counts = {mode: 0 for mode in MODES}
    for (found, sentences), (_, settings, _) in zip(results, all_cases, strict=True):
        counts[settings['mode']] += len(found)
        assert sentences > 2
    assert min(counts.values()) > 50, counts  # the cases are not empty ones


def test_pairs_are_those_of_the_benchmark(evaluate):
    rng = np.random.default_rng(1)
    calls, expected = [], []
    for fps in (24, 25, 30, 60) * 5:
        truth = np.unique(rng.integers(0, 200, 12))
        found = np.unique(rng.integers(0, 200, 10))
        pairs = pair(truth, found, round(0.2 * fps))
        distance = float(np.mean([abs(a - b) for a, b in pairs])) if pairs else None
        calls.append([(truth / fps).tolist(), (found / fps).tolist(), fps])
        expected.append((abs(len(truth) - len(found)), len(pairs), distance))
    results = evaluate('(calls) => calls.map((call) => compare(...call))', calls)
    for result, (count, pairs, distance) in zip(results, expected, strict=True):
        assert (result['count'], result['pairs']) == (count, pairs)
        assert result['distance'] == pytest.approx(distance, abs=1e-6)
