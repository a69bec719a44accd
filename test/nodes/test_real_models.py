"""The nodes with the shipped models on a real clip: live results equal those of the replay."""

import csv
import itertools
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rosbags.highlevel import AnyReader

from kf_imitation.bags.reader import header_stamp_ns, read_topic
from kf_imitation.data_types import CHANNELS, Expression, Shapes
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / 'media/demo.mp4'
CLI = ROOT / 'kf_imitation/cli/main.py'
FRAMES = 45

pytestmark = pytest.mark.skipif(not CLIP.is_file(), reason='media/demo.mp4 is missing')


def command(environment, *arguments):
    done = subprocess.run(
        [sys.executable, '-m', 'kf_imitation.cli.main', *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """The beginning of the demo clip."""
    source = cv2.VideoCapture(str(CLIP))
    size = int(source.get(cv2.CAP_PROP_FRAME_WIDTH)), int(source.get(cv2.CAP_PROP_FRAME_HEIGHT))
    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    fps = source.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, size)
    for _ in range(FRAMES):
        writer.write(source.read()[1])
    writer.release()
    return path


def explained(bag):
    """Final score of every frame and the frames that became keyframes, by order of stamps."""
    scores, keyframes = {}, set()
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages():
            if connection.topic != '/keyframe/explanation':
                continue
            message = reader.deserialize(data, connection.msgtype)
            values = dict(zip(message.name, message.position, strict=True))
            stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            if values['is_keyframe']:
                keyframes.add(stamp_ns)
            else:
                scores[stamp_ns] = values['score']
    order = sorted(scores)
    return [scores[stamp] for stamp in order], [order.index(stamp) for stamp in sorted(keyframes)]


@pytest.fixture(scope='module')
def live(clip, domain, tmp_path_factory):
    """The bag of the live graph that played the clip, with its images."""
    folder = tmp_path_factory.mktemp('live')
    environment = {
        **os.environ,
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
        'ROS_DOMAIN_ID': domain,
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_LOG_DIR': str(folder / 'log'),
    }
    bag = folder / 'bag'
    arguments = ('--record', bag, '--record-images', '--no-realtime')
    command(environment, 'mimic', '--source', clip, *arguments)
    return bag


def test_the_nodes_find_what_the_replay_finds(environment, clip, live, tmp_path):
    out = tmp_path / 'out'
    command(environment, 'replay', clip, '--out', out)
    with (out / 'scores.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    live_scores, live_keyframes = explained(live)
    assert len(live_scores) == len(rows) == FRAMES
    replayed = np.array([float(row['score'] or 'nan') for row in rows])
    # The very first frame has nothing before it: no score live, 0 in the table.
    assert np.isnan(live_scores[0]) and replayed[0] == 0
    np.testing.assert_allclose(live_scores[1:], replayed[1:], atol=1e-4)
    assert live_keyframes == [i for i, row in enumerate(rows) if row['keyframe'] == '1']
    assert live_keyframes


def expressions(bag):
    def of(message):
        rows = np.array([message.position, message.effort], np.float32)
        values, confidence = rows[:, : len(CHANNELS)]
        shapes = Shapes(*rows[:, len(CHANNELS) :])
        return Expression(header_stamp_ns(message), values, confidence, shapes)

    return [of(message) for _, message in read_topic(bag, 'face/expression')]


def test_a_recording_gives_offline_what_the_live_graph_published(environment, live, tmp_path):
    """Scores, keyframes, expressions and joint goals, for the frames that were recorded."""
    out = tmp_path / 'out'
    command(environment, 'replay', live, '--out', out, '--learn')
    offline = out / 'bag'
    scores, keyframes = explained(live)
    offline_scores, offline_keyframes = explained(offline)
    assert len(scores) == FRAMES and len(keyframes) >= 2
    assert keyframes == offline_keyframes
    np.testing.assert_array_equal(scores, offline_scores)
    published, computed = expressions(live), expressions(offline)
    assert [e.stamp_ns for e in published] == [e.stamp_ns for e in computed]
    for ours, theirs in zip(computed, published, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)
        np.testing.assert_array_equal(ours.confidence, theirs.confidence)
        np.testing.assert_array_equal(ours.shapes.values, theirs.shapes.values)
    # The goals that these expressions mean to the servos are those that the replay gave them.
    robot = load_robot('sim_face')
    with (out / 'joints.csv').open(newline='') as file:
        rows = [
            tuple(float(row[f'{joint.name}_goal_rad']) for joint in robot.joints)
            for row in csv.DictReader(file)
        ]
    # Lids, eyes and jaw follow the reflexes of every frame.
    posed = [i for i in range(len(robot.joints)) if i not in robot.reflex_joints]
    rows = [tuple(row[i] for i in posed) for row in rows]
    changes = [row for before, row in itertools.pairwise(rows) if row != before]
    mapping = JointMapping(robot)
    wanted = [mapping.goals(expression)[posed] for expression in published]
    given = [row for row in changes if any(np.allclose(row, goal, atol=1e-5) for goal in wanted)]
    assert len(given) >= len(wanted) - 1  # the first may be where the head is already
    command(environment, 'report', live, '--out', tmp_path / 'report.html')
    assert (tmp_path / 'report.html').stat().st_size > 100_000


def test_an_unknown_model_is_rejected_before_anything_is_written(start, tmp_path):
    params = tmp_path / 'params.yaml'
    params.write_text('landmarks: {ros__parameters: {model: no_such_model}}', encoding='utf-8')
    bag = tmp_path / 'bag'
    process = start(
        'mimic',
        *('--source', 'test-pattern', '--record', str(bag), '--params', str(params)),
        program=CLI,
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert 'model no_such_model is not in' in err and 'Traceback' not in err
    assert not bag.exists()
