"""`kf_imitation mimic` as a user runs it: real ROS and servos, small stages for the networks."""

import itertools
import os
import re
import signal
from pathlib import Path
from time import monotonic

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from rosbags.highlevel import AnyReader
from sensor_msgs.msg import JointState
from servo_talk import angle

from kf_imitation.head.stop_record import StopRecord
from kf_imitation.nodes.conversions import from_scalars
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')


def children(pid):
    """Ids of all processes below one."""
    direct = [
        int(path.parent.name) for path in Path('/proc').glob('[0-9]*/stat') if parent(path) == pid
    ]
    return direct + [grandchild for child in direct for grandchild in children(child)]


def parent(stat):
    try:
        return int(stat.read_text().rpartition(')')[2].split()[1])
    except OSError:
        return None


def wait_until_gone(pids, timeout_s=5.0):
    end = monotonic() + timeout_s
    while any(Path(f'/proc/{pid}').exists() for pid in pids):
        assert monotonic() < end, f'still there: {pids}'


def bag_counts(folder):
    with AnyReader([folder]) as bag:
        return {connection.topic: connection.msgcount for connection in bag.connections}


def cell(table, row):
    return re.search(rf'│ {row} +│ ([^│]+?) *│', table).group(1)


def test_a_file_is_played_scored_without_loss_and_recorded(start, make_video, tmp_path):
    bag = tmp_path / 'bag'
    arguments = ['--record', str(bag), '--every-frame']
    process = start('mimic', '--source', str(make_video(90)), *arguments)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert (cell(out, 'frames in'), cell(out, 'scored'), cell(out, 'dropped')) == ('90', '89', '0')
    keyframes = int(cell(out, 'keyframes'))
    assert keyframes >= 4
    assert 'capture to servo command' in out and 'bus rate' in out
    counts = bag_counts(bag)
    assert counts['/camera_info'] == counts['/face/region'] == 90
    assert counts['/keyframe/score'] == 89
    assert counts['/keyframe/explanation'] == 90 + keyframes
    assert counts['/face/expression'] == counts['/face/landmarks'] == keyframes
    assert counts['/joint_states'] > 0  # how fast is a matter for the benchmark
    assert '/image_raw' not in counts


def test_a_run_beside_a_head_of_the_same_name_says_that_its_own_took_no_command(
    start, servo_node, listener, make_video
):
    """It ended with exit code 0 and without a word."""
    states = listener.listen(JointState, 'joint_states')
    servo_node(hold_s=3600.0)
    listener.wait_for(lambda: bool(states))
    process = start('mimic', '--source', str(make_video(240)))
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2, err
    last = err.splitlines()[-1]
    assert last.startswith('kf_imitation: the head took no command: ')
    assert 'a namespace or a ROS domain of its own' in last


@pytest.mark.parametrize('reset', [False, True])
def test_a_run_of_a_head_that_stays_stopped_says_so_at_its_end(
    start, listener, make_video, port, reset
):
    """A stop of an earlier run kept torque off from start to end: exit code 0."""
    StopRecord(ROBOT).write('stopped by a command')
    states = listener.listen(JointState, 'joint_states')
    process = start('mimic', '--port', port.device, '--source', str(make_video(480)))
    listener.wait_for(lambda: bool(states))
    if reset:
        start('servo', 'reset').communicate(timeout=100)
    _, err = process.communicate(timeout=200)
    assert process.returncode == (0 if reset else 2), err
    assert ('the head took no part: it was stopped before' in err) is not reset
    assert reset or 'kf_imitation servo reset' in err.splitlines()[-1]


def test_images_are_recorded_on_request_only(start, make_video, tmp_path):
    bag = tmp_path / 'bag'
    arguments = ['--record', str(bag), '--record-images', '--no-realtime']
    process = start('mimic', '--source', str(make_video(30)), *arguments)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert bag_counts(bag)['/image_raw'] == 30


def test_scores_in_the_bag_are_stamped_and_ordered(start, make_video, tmp_path):
    bag = tmp_path / 'bag'
    arguments = ['--record', str(bag), '--no-realtime', '--namespace', 'head']
    process = start('mimic', '--source', str(make_video(45)), *arguments)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    stamps = []
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages():
            if connection.topic == '/head/keyframe/explanation':
                message = reader.deserialize(data, connection.msgtype)
                if not from_scalars(message)['is_keyframe']:
                    stamp = message.header.stamp
                    stamps.append(stamp.sec * 10**9 + stamp.nanosec)
    steps = [b - a for a, b in itertools.pairwise(stamps)]
    assert len(stamps) == 45
    # Restamped, but at the file's own distances, however fast it was played.
    assert all(abs(step - 1e9 / 30) < 2e6 for step in steps)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_ends_with_the_table_and_leaves_no_process(start, listener, number):
    process = start('mimic', '--source', 'test-pattern')
    states = listener.listen(JointState, 'joint_states')
    listener.wait_for(lambda: len(states) > 20)
    helpers = children(process.pid)
    assert helpers  # the simulated bus
    os.killpg(process.pid, number)
    os.killpg(process.pid, number)  # impatient users and terminals send it twice
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert 'bus rate' in out
    assert 'Traceback' not in err
    wait_until_gone(helpers)


def test_ctrl_c_closes_the_bag(start, listener, interrupt, tmp_path):
    bag = tmp_path / 'bag'
    process = start('mimic', '--source', 'test-pattern', '--record', str(bag))
    states = listener.listen(JointState, 'joint_states')
    explanations = listener.listen(JointState, 'keyframe/explanation')
    listener.wait_for(lambda: len(states) > 20 and len(explanations) > 5)
    _, err = interrupt(process)
    assert process.returncode == 0, err
    assert bag_counts(bag)['/joint_states'] >= 20
    assert (bag / 'metadata.yaml').is_file()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--source', 'empty.mp4'], 'empty.mp4'),
        (['--robot', 'nobody'], 'no such robot'),
        (['--port', '/dev/no-such-port'], '/dev/no-such-port'),
        (['--source', '/dev/video97'], 'video97'),
        (['--params', 'wrong.yaml'], 'rate_hz'),
    ],
)
def test_bad_input_is_reported_before_anything_is_written(start, tmp_path, arguments, words):
    (tmp_path / 'empty.mp4').write_bytes(b'')
    (tmp_path / 'wrong.yaml').write_text('servo: {ros__parameters: {rate_hz: 1}}')
    bag = tmp_path / 'bag'
    source = [] if '--source' in arguments else ['--source', 'test-pattern']
    process = start('mimic', '--record', str(bag), *source, *arguments)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2, err
    message = [line for line in err.splitlines() if line.startswith('kf_imitation: ')]
    assert len(message) == 1
    assert words in err and 'Traceback' not in err
    assert not bag.exists()
    # A source that cannot be opened is said before servos move.
    assert '--source' not in arguments or 'servo: ' not in err


def test_the_head_rests_when_the_face_is_gone_but_not_while_it_holds_still(
    start, listener, make_video
):
    # Bright from the start (mouth open), then still for longer than hold_s, then black.
    process = start('mimic', '--source', str(make_video(150, black_from=75)))
    states = listener.listen(JointState, 'joint_states')
    listener.wait_for(lambda: angle(states, 'jaw') > 0.1)
    listener.wait_for(lambda: abs(angle(states, 'jaw')) < 0.02)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
