"""launch/replay.launch.py under the real launch system, with small stages for the networks."""

import os
import re
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import open_bag
from kf_imitation.bags.reader import header_stamp_ns, read_joints, read_topic, topics
from kf_imitation.bags.writer import BagWriter
from kf_imitation.data_types import CHANNELS, Expression

LAUNCH_FILE = Path(__file__).resolve().parents[2] / 'launch/replay.launch.py'
START = 1_700_000_000_000_000_000
S = 1_000_000_000

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def launch(launch_file):
    return partial(launch_file, LAUNCH_FILE)


@pytest.fixture
def image_bag(tmp_path, frames):
    """60 compressed frames, and results of another run beside them, which must not be played."""
    with BagWriter(tmp_path / 'images') as writer:
        out = BagTopics(writer)
        for i, frame in enumerate(frames):
            stamp = START + i * S // 30
            out.jpeg('/cam/compressed', frame, stamp)
            out.score(9.0, stamp)
    return tmp_path / 'images'


def ended_cleanly(output):
    return sorted(re.findall(r'\[(\w+)_node-\d\]: process has finished cleanly', output))


def test_every_argument_is_described(declared):
    arguments = declared(LAUNCH_FILE)
    assert {'bag', 'robot', 'rate', 'loop', 'start_offset', 'player'} <= set(arguments)
    assert all(len(description) > 10 for description in arguments.values())


def test_a_bag_with_images_goes_through_every_stage_on_its_own_time(launch, image_bag, tmp_path):
    again = tmp_path / 'again'
    process = launch(f'bag:={image_bag}', f'record:={again}', 'rate:=2.0', 'namespace:=head')
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    nodes = ['keyframe', 'landmarks', 'player', 'recorder', 'servo']
    assert ended_cleanly(output) == nodes, output
    assert 'Traceback' not in output, output
    held = topics(again)
    assert held['/head/face/region'][1] == 60
    assert held['/head/keyframe/score'][1] == 59
    assert held['/head/face/expression'][1] >= 2
    scores = [message.data for _, message in read_topic(again, '/head/keyframe/score')]
    assert max(scores) <= 1  # not those of the bag
    stamps = [header_stamp_ns(m) for _, m in read_topic(again, '/head/face/region')]
    assert stamps == [START + i * S // 30 for i in range(60)]
    # The head's own messages, and the bag, are on the time of the old one too.
    with open_bag(again) as bag:
        moved, _, _ = read_joints(bag, '/head/joint_states')
    assert moved[0] > START - S and moved[-1] < START + 20 * S
    times = [stamp for stamp, _ in read_topic(again, '/head/face/expression')]
    assert START < times[0] < START + 10 * S


def test_a_bag_without_images_moves_the_head(launch, tmp_path):
    values = np.zeros(len(CHANNELS), np.float32)
    with BagWriter(tmp_path / 'bag') as writer:
        out = BagTopics(writer)
        for i in range(12):
            values[CHANNELS.index('jaw_open')] = i % 2
            stamp = START + i * S // 4
            out.expression(Expression(stamp, values.copy(), np.ones_like(values)))
            out.region(None, stamp)
    again = tmp_path / 'again'
    process = launch(f'bag:={tmp_path / "bag"}', f'record:={again}', 'robot:=sim_face')
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert ended_cleanly(output) == ['player', 'recorder', 'servo'], output
    assert topics(again)['/face/expression'][1] == 12
    with open_bag(again) as bag:
        _, names, positions = read_joints(bag, 'joint_states')
    assert np.ptp(positions[:, names.index('jaw')]) > 0.1


def test_a_loop_goes_on_until_ctrl_c(launch, image_bag):
    process = launch(f'bag:={image_bag}', 'loop:=true', 'rate:=4', 'start_offset:=1')
    lines = []
    for line in process.stdout:
        lines.append(line)
        if 'servo' in line and 'firmware' in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    output = ''.join(lines) + rest
    assert ended_cleanly(output) == ['keyframe', 'landmarks', 'player', 'servo'], output
    assert 'Traceback' not in output, output


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['bag:=gone'], 'bag gone: does not exist'),
        (['rate:=fast'], "rate = 'fast' must be a number"),
        (['topic:=/nothing'], 'holds no image topic /nothing (image topics: /cam/compressed)'),
        (['start_offset:=99'], 'start offset 99 s is beyond'),
        (['player:=ros2bag'], 'player = ours decodes it'),
    ],
)
def test_what_cannot_be_replayed_starts_nothing(launch, image_bag, arguments, words):
    given = arguments if arguments[0].startswith('bag') else [f'bag:={image_bag}', *arguments]
    process = launch(*given)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert words in output
    assert 'process started' not in output
