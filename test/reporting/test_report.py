"""The report: its page is whole, escapes what it is given and needs no network."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import open_bag
from kf_imitation.bags.writer import BagWriter
from kf_imitation.data_types import BLENDSHAPES, CHANNELS
from kf_imitation.evaluation.labels import Labels
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.reporting import data as report_data
from kf_imitation.reporting import page as report
from kf_imitation.reporting.data import ReportData, final_run, read_run
from kf_imitation.reporting.health import Fault
from kf_imitation.reporting.recording import Recording
from kf_imitation.reporting.report import default_place, write_report
from kf_imitation.reporting.sizes import run_sizes
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping

ROOT = Path(__file__).resolve().parents[2]


def small_data():
    stamps = np.arange(60, dtype=np.int64) * 40_000_000
    run = final_run(stamps, np.linspace(0, 0.5, 60))
    keyframe = {
        'number': 1,
        'time_s': 1.0,
        'score': 0.5,
        'prominence': 0.2,
        'threshold': 0.1,
        'commit_delay_s': 0.17,
        'rank': 90,
        'explanation': {},
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
        faults=[Fault('servo: joint jaw <hot>', 3, 1.0, 2.5)],
    )


def test_the_page_loads_nothing_from_elsewhere_and_escapes_what_it_is_given():
    text = report.page(small_data())
    own = text.replace(report.plotly_script(), '')
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:https?:)?//', own)
    assert '<h1>clip &lt;b&gt;.mp4</h1>' in own
    assert 'joint jaw &lt;hot&gt;' in own
    assert own.count('</script>') == 5
    data = re.search(r'type="application/json">(.*?)</script>', own, re.DOTALL).group(1)
    assert json.loads(data)['note'].startswith('</script>')


def test_a_bag_without_scores_is_rejected(tmp_path):
    from kf_imitation.errors import BagError

    with pytest.raises(BagError, match='does not exist'):
        write_report([tmp_path / 'nothing'])


def test_the_page_goes_into_the_folder_of_a_replay_or_next_to_a_bag(tmp_path):
    assert default_place([tmp_path / 'bag']) == tmp_path / 'bag-report.html'
    two = [tmp_path / 'a', tmp_path / 'b']
    assert default_place(two) == tmp_path / 'a-b-report.html'
    (tmp_path / 'run.json').write_text('{}')
    assert default_place([tmp_path]) == tmp_path / 'report.html'


def test_a_replay_with_labels_is_measured_by_joint_and_channel(tmp_path):
    """A mouth corner that rises half as far as the person's, 0.1 s later."""
    robot, time_s = load_robot('sim_face'), np.arange(150) / 30
    stamps = np.round(time_s * 1e9).astype(np.int64)
    smile = np.clip(np.sin(2 * np.pi * time_s / 1.5), 0, 1) * 0.8
    names = ('_neutral', *BLENDSHAPES)
    shapes = np.zeros((len(stamps), len(names)), np.float32)
    shapes[:, names.index('mouthSmileLeft')] = smile
    pose = np.tile(np.eye(4, dtype=np.float32), (len(stamps), 1, 1))
    points = np.ones((len(stamps), 478, 3), np.float32)
    points[:, 263, 0] = 100
    labels = Labels(shapes, names, pose, points, np.ones(len(stamps), bool), 30.0)
    with BagWriter(tmp_path / 'bag', 0.0) as writer:
        topics_of = BagTopics(writer)
        for stamp, value in zip(stamps.tolist(), (0.5 * 0.5 * smile).tolist(), strict=True):
            position = np.where(np.array(robot.names) == 'mouth_corner_left', value, 0.0)
            topics_of.joints('joint_states', robot.names, position, stamp + 100_000_000)
    with open_bag(tmp_path / 'bag') as bag:
        recording = Recording(bag, robot)
        found = run_sizes(recording, stamps, labels)
        assert not run_sizes(recording, stamps[:90], labels)
        pointless = replace(labels, landmarks_px=points[:, :0])
        assert run_sizes(recording, stamps, pointless)['joint mouth_corner']['gain'] > 0.4
    assert found['joint mouth_corner']['gain'] == pytest.approx(0.5, abs=0.05)
    assert found['channel mouth_smile']['apex'] == pytest.approx(0.5, abs=0.05)
    page = report.page(replace(small_data(), sizes=found))
    assert 'Size against the labels' in page and '<td>joint mouth_corner</td><td>0.5' in page


def test_a_bag_is_opened_once_and_every_pose_is_read_as_channels_once(tmp_path, monkeypatch):
    robot, opened, read = load_robot('sim_face'), [], []
    with BagWriter(tmp_path / 'bag', 0.0) as writer:
        topics_of = BagTopics(writer)
        for stamp in (1_000_000_000, 1_040_000_000, 1_080_000_000):
            explanation = {'score': 0.1, 'is_keyframe': 0.0}
            topics_of.scalars('keyframe/explanation', explanation, stamp)
            for topic, names in {
                'face/reflex': ('jaw_open',),
                'face/expression': CHANNELS,
                'joint_states': robot.names,
                'servo/joint_commands': robot.names,
            }.items():
                topics_of.joints(topic, names, np.zeros(len(names)), stamp)
    open_bag, channels = report_data.open_bag, JointMapping.channels
    monkeypatch.setattr(report_data, 'open_bag', lambda p: opened.append(p) or open_bag(p))
    monkeypatch.setattr(
        JointMapping, 'channels', lambda self, rad: read.append(rad) or channels(self, rad)
    )
    data = read_run(tmp_path / 'bag', robot, None)
    assert data.page['channels'] and data.page['joints'] and data.page['player']
    assert (len(opened), len(read)) == (1, 3)
