"""The nodes with the shipped models on a real clip: live results equal those of the replay."""

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rosbags.highlevel import AnyReader

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / 'media/demo.mp4'
CLI = ROOT / 'kf_imitation/cli.py'
FRAMES = 45

pytestmark = pytest.mark.skipif(not CLIP.is_file(), reason='media/demo.mp4 is missing')


@pytest.fixture
def clip(tmp_path):
    """The beginning of the demo clip."""
    source = cv2.VideoCapture(str(CLIP))
    size = int(source.get(cv2.CAP_PROP_FRAME_WIDTH)), int(source.get(cv2.CAP_PROP_FRAME_HEIGHT))
    path = tmp_path / 'clip.mp4'
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


def test_the_nodes_find_what_the_replay_finds(environment, clip, tmp_path):
    bag, out = tmp_path / 'bag', tmp_path / 'out'
    for command in (
        ['mimic', '--source', str(clip), '--record', str(bag), '--no-realtime'],
        ['replay', str(clip), '--out', str(out)],
    ):
        done = subprocess.run(
            [sys.executable, '-m', 'kf_imitation.cli', *command],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    with (out / 'scores.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    live_scores, live_keyframes = explained(bag)
    assert len(live_scores) == len(rows) == FRAMES
    replayed = np.array([float(row['score'] or 'nan') for row in rows])
    # The very first frame has nothing before it: no score live, 0 in the table.
    assert np.isnan(live_scores[0]) and replayed[0] == 0
    np.testing.assert_allclose(live_scores[1:], replayed[1:], atol=1e-4)
    assert live_keyframes == [i for i, row in enumerate(rows) if row['keyframe'] == '1']
    assert live_keyframes


def test_an_unknown_model_is_refused_before_anything_is_written(start, tmp_path):
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
