"""The report: its detectors equal those of the runtime, its page is whole and needs no network."""

import argparse
import json
import re
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from kf_imitation.data_types import FaceRegion, FrameScore
from kf_imitation.keyframe.detector import make_detector
from kf_imitation.keyframe.detector_settings import MODES, DetectorSettings
from kf_imitation.offline import report
from kf_imitation.offline.metrics import pair
from kf_imitation.offline.report_data import ReportData

ROOT = Path(__file__).resolve().parents[2]
NODE = shutil.which('node')
SCRIPT = ROOT / 'media' / 'report' / 'report.js'
needs_node = pytest.mark.skipif(NODE is None, reason='node runs the page script in this test')


def in_node(calls):
    """Run the page's functions on a list of (function, arguments)."""
    program = (
        f'const page = require({json.dumps(str(SCRIPT))});'
        'const calls = JSON.parse(require("fs").readFileSync(0, "utf8"));'
        'console.log(JSON.stringify(calls.map(([name, args]) => page[name](...args))));'
    )
    done = subprocess.run(
        [NODE, '-e', program], input=json.dumps(calls), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def made_run(seed):
    """A bumpy score at 25 to 60 fps with a hole without scores."""
    rng = np.random.default_rng(seed)
    fps = [25, 30, 60][seed % 3]
    count = 240
    wave = np.convolve(rng.random(count + 8) ** 4, np.hanning(9), 'valid')
    score = [round(float(v), 5) for v in np.clip(wave / wave.max() * 0.9, 0, 1)]
    if seed % 2:
        score[100:110] = [None] * 10
    stamps = [round(i / fps * 1e9) for i in range(count)]
    return {'stamp_ns': stamps, 'score': score, 'time_s': [s * 1e-9 for s in stamps]}


def runtime_keyframes(run, settings):
    """What the runtime's detector finds when the scores ahead are the final ones."""
    scores = []
    for i, (stamp, score) in enumerate(zip(run['stamp_ns'], run['score'], strict=True)):
        dt = (stamp - run['stamp_ns'][i - 1]) * 1e-9 if i else 0.0
        scores.append(FrameScore(i, stamp, score, 0.0, FaceRegion(0, 0, 1), dt))
    detector = make_detector(settings)
    found = []
    for i, score in enumerate(scores):
        limit = score.stamp_ns + round(settings.commit_delay_s * 1e9) + 500_000
        ahead = []
        for k in range(i + 1, len(scores)):
            late = scores[k].stamp_ns > limit and k > i + 1
            if late or scores[k].score is None:
                break
            ahead.append(scores[k])
        keyframe = detector.push(score, tuple(ahead))
        if keyframe is not None:
            found.append(keyframe.index)
    return found


@needs_node
@pytest.mark.parametrize('mode', MODES)
def test_the_page_finds_the_keyframes_that_the_runtime_finds(mode):
    calls, expected = [], []
    for seed in range(12):
        run = made_run(seed)
        settings = DetectorSettings(
            mode,
            prominence=[0.05, 0.1, 0.2][seed % 3],
            threshold=[0.0, 0.2][seed % 2],
            spacing_s=[0.0, 0.2, 0.5][seed % 3],
            commit_delay_s=[0.1, 0.17, 0.3][seed % 3],
            travel_quantum=0.5,
        )
        calls.append(['detect', [run, asdict(settings)]])
        expected.append(runtime_keyframes(run, settings))
    found = in_node(calls)
    assert found == expected
    assert sum(map(len, found)) > 20


@needs_node
def test_the_page_pairs_keyframes_as_the_benchmark_does():
    rng = np.random.default_rng(1)
    calls, expected = [], []
    for _ in range(20):
        truth = np.unique(rng.integers(0, 200, 12))
        found = np.unique(rng.integers(0, 200, 10))
        pairs = pair(truth, found, 6)
        distance = float(np.mean([abs(a - b) for a, b in pairs])) if pairs else None
        calls.append(['compare', [(truth / 30).tolist(), (found / 30).tolist(), 30]])
        expected.append((abs(len(truth) - len(found)), len(pairs), distance))
    for result, (count, pairs, distance) in zip(in_node(calls), expected, strict=True):
        assert (result['count'], result['pairs']) == (count, pairs)
        assert result['distance'] == pytest.approx(distance, abs=1e-6)


def small_data():
    run = made_run(0)
    keyframe = {
        'number': 1,
        'time_s': 1.0,
        'score': 0.5,
        'prominence': 0.2,
        'threshold': 0.1,
        'commit_delay_s': 0.17,
        'rank': 90,
        'changes': [],
        'shares': None,
        'picture': None,
    }
    return ReportData(
        name='clip <b>.mp4',
        page={
            'fps': 25.0,
            'settings': asdict(DetectorSettings()),
            'run': run,
            'keyframes': [keyframe],
            'truth_s': None,
            'channels': [],
            'joints': [],
            'note': '</script><script>alert(1)</script>',
        },
        times_ms={'score': {'p50': 1.0, 'p95': 2.0, 'p99': 3.0, 'n': 25}},
        faults={'servo: joint jaw <hot>': 3},
    )


def test_the_page_loads_nothing_from_elsewhere_and_escapes_what_it_is_given():
    pytest.importorskip('plotly')
    text = report.page(small_data())
    own = text.replace(report._plotly(), '')
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:https?:)?//', own)
    assert '<h1>clip &lt;b&gt;.mp4</h1>' in own
    assert 'joint jaw &lt;hot&gt;' in own
    assert own.count('</script>') == 4
    data = re.search(r'type="application/json">(.*?)</script>', own, re.DOTALL).group(1)
    assert json.loads(data)['note'].startswith('</script>')


def test_a_bag_without_scores_is_refused(tmp_path):
    from kf_imitation.errors import BagError

    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    with pytest.raises(BagError, match='does not exist'):
        report.run(parser.parse_args([str(tmp_path / 'nothing')]))


def test_the_page_goes_into_the_folder_of_a_replay_or_beside_a_bag(tmp_path):
    assert report.default_place(tmp_path / 'bag') == tmp_path / 'bag-report.html'
    (tmp_path / 'run.json').write_text('{}')
    assert report.default_place(tmp_path) == tmp_path / 'report.html'
