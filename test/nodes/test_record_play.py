"""`kf_imitation record` and `play` as a user runs them, over real ROS."""

import os
import shutil
import signal
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float32, String

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import open_bag
from kf_imitation.bags.reader import header_stamp_ns, read_topic, topics
from kf_imitation.bags.writer import BagWriter
from kf_imitation.cli.main import main
from kf_imitation.data_types import CameraModel
from kf_imitation.nodes import qos

S = 1_000_000_000


@pytest.fixture
def publish(listener):
    """Publish on a topic until something is so."""
    publishers = {}

    def send(kind, topic, make, until, quality=10):
        if topic not in publishers:
            publishers[topic] = listener.node.create_publisher(kind, topic, quality)

        def step():
            publishers[topic].publish(make())
            return until()

        listener.wait_for(step)

    return send


def grown(bag, size=1):
    file = bag / f'{bag.name}.mcap'
    return lambda: file.is_file() and file.stat().st_size >= size


def stamped():
    now = time.time_ns()
    message = JointState(name=['jaw'], position=[0.1])
    message.header.stamp.sec, message.header.stamp.nanosec = now // S, now % S
    return message


def test_a_killed_recorder_leaves_a_bag_that_is_readable_up_to_the_last_second(
    start, publish, tmp_path
):
    bag = tmp_path / 'bag'
    process = start('record', '--out', str(bag))
    publish(JointState, 'joint_states', stamped, grown(bag, 20_000))
    killed_ns = time.time_ns()
    process.kill()
    process.wait(timeout=60)
    assert not (bag / 'metadata.yaml').exists()
    stamps = [header_stamp_ns(message) for _, message in read_topic(bag, 'joint_states')]
    assert len(stamps) > 50
    assert killed_ns - stamps[-1] < S
    # Not a message in between is missing: they were sent in one row.
    assert max(np.diff(stamps)) < 2 * S


def test_only_results_are_recorded_and_images_on_request(start, publish, interrupt, tmp_path):
    picture = lambda: Image(height=4, width=4, encoding='bgr8', step=12, data=bytes(48))  # noqa: E731
    for name, options, held in (('plain', [], False), ('images', ['--images'], True)):
        bag = tmp_path / name
        process = start('record', '--out', str(bag), *options)
        publish(Float32, 'keyframe/score', lambda: Float32(data=0.5), grown(bag))
        seen = lambda bag=bag: '/image_raw' in topics(bag)  # noqa: E731
        end = time.monotonic() + (60 if held else 1.5)
        publish(
            Image,
            'image_raw',
            picture,
            lambda end=end, seen=seen: time.monotonic() > end or seen(),
        )
        out, err = interrupt(process)
        assert process.returncode == 0, err
        assert f'closed {bag}' in out and '/keyframe/score' in out
        assert ('/image_raw' in topics(bag)) == held
        assert (bag / 'metadata.yaml').is_file()


def test_topics_by_name_and_pattern_of_any_quality_are_found_late(
    start, publish, interrupt, tmp_path
):
    bag = tmp_path / 'bag'
    process = start('record', '--out', str(bag), '--topics', '/robot/*', 'keyframe/score', '/pix')
    publish(Float32, 'keyframe/score', lambda: Float32(data=0.5), grown(bag))
    held = lambda name: lambda: name in topics(bag)  # noqa: E731
    loose = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publish(String, '/robot/words', lambda: String(data='late'), held('/robot/words'), loose)
    publish(CompressedImage, '/pix', lambda: CompressedImage(data=b'x'), held('/pix'))
    _, err = interrupt(process)
    assert process.returncode == 0, err
    assert next(read_topic(bag, '/robot/words'))[1].data == 'late'
    assert set(topics(bag)) == {'/robot/words', '/pix', '/keyframe/score'}


def test_the_bag_notes_which_publishers_keep_messages_for_late_listeners(
    start, publish, interrupt, tmp_path
):
    bag = tmp_path / 'bag'
    process = start('record', '--out', str(bag))
    score = lambda: Float32(data=0.5)  # noqa: E731
    publish(Float32, 'keyframe/score', score, grown(bag), qos.per_frame_publisher())
    held = lambda: '/joint_states' in topics(bag)  # noqa: E731
    loose = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publish(JointState, 'joint_states', stamped, held, loose)
    _, err = interrupt(process)
    assert process.returncode == 0, err
    with open_bag(bag) as reader:
        kept = {name: topic.kept for name, topic in reader.topics.items()}
        offered = {
            connection.topic: connection.ext.offered_qos_profiles[0].reliability.name
            for connection in reader.library.connections
        }
    assert kept['/keyframe/score'] and not kept['/joint_states']
    assert offered['/keyframe/score'] == 'RELIABLE' and offered['/joint_states'] == 'BEST_EFFORT'


def test_the_bag_is_closed_at_its_size_limit(start, publish, tmp_path):
    bag = tmp_path / 'bag'
    process = start('record', '--out', str(bag), '--max-size', '1', '--topics', '/words')
    long = String(data='x' * 50_000)
    publish(String, '/words', lambda: long, lambda: process.poll() is not None)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert 'which has reached 1 MB' in out
    assert 900_000 < (bag / 'bag.mcap').stat().st_size < 1_300_000
    assert topics(bag)['/words'][1] >= 19


def test_little_free_disk_stops_before_it_begins(start, publish, tmp_path):
    if shutil.disk_usage(tmp_path).free > 1e12:
        pytest.skip('this disk has more than the largest limit free')
    bag = tmp_path / 'bag'
    process = start('record', '--out', str(bag), '--minimum-free', '1000000')
    done = lambda: process.poll() is not None  # noqa: E731
    publish(Float32, 'keyframe/score', lambda: Float32(data=0.5), done)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and 'MB free on this disk, minimum 1000000 MB' in err
    assert 'Traceback' not in err and not bag.exists()


def test_a_recorder_that_heard_nothing_says_so_and_leaves_nothing(
    start, listener, interrupt, tmp_path
):
    process = start('record', '--out', str(tmp_path / 'bag'))
    news = listener.listen(DiagnosticArray, '/diagnostics')
    listener.wait_for(lambda: bool(news))
    _, err = interrupt(process)
    assert process.returncode == 2 and 'nothing was recorded' in err
    assert not (tmp_path / 'bag').exists()


# -- play --------------------------------------------------------------------------------------


@pytest.fixture
def bag(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        out = BagTopics(writer)
        for i in range(40):
            stamp = 5 * S + i * S // 20
            out.score(i / 100, stamp)
            out.joints('joint_states', ('jaw',), (0.1 * i,), stamp)
    return tmp_path / 'bag'


def test_every_message_is_played_as_it_was_recorded_with_the_time_of_the_bag(start, listener, bag):
    states = listener.listen(JointState, 'joint_states')
    scores = listener.listen(Float32, 'other/score')
    clocks = listener.listen(Clock, '/clock')
    process = start(
        'play', str(bag), '--clock', '50', '--delay', '4', '--remap', 'keyframe/score:=other/score'
    )
    listener.wait_for(lambda: process.poll() is not None)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert 'playing' in out and '2 topics' in out
    with_bag = [message for _, message in read_topic(bag, 'joint_states')]
    assert [list(m.position) for m in states] == [list(m.position) for m in with_bag]
    assert [round(m.data, 6) for m in scores] == [i / 100 for i in range(40)]
    times = [m.clock.sec * S + m.clock.nanosec for m in clocks]
    assert times == sorted(times) and times[0] == 5 * S and times[-1] > 5 * S + 39 * S // 20


def test_rate_start_topics_and_loop(start, listener, interrupt, bag):
    states = listener.listen(JointState, 'joint_states')
    scores = listener.listen(Float32, 'keyframe/score')
    process = start(
        'play',
        str(bag),
        '--rate',
        '8',
        '--start-offset',
        '1',
        '--topics',
        'joint_states',
        '--loop',
    )
    listener.wait_for(lambda: len(states) > 90)
    _, err = interrupt(process)
    assert process.returncode == 0 and 'Traceback' not in err, err
    positions = [round(m.position[0], 6) for m in states]
    begin = positions.index(2.0)
    assert positions[begin : begin + 60] == [round(0.1 * i, 6) for i in range(20, 40)] * 3
    stamps = [m.header.stamp.sec * S + m.header.stamp.nanosec for m in states]
    assert stamps == sorted(stamps)  # time goes on, so that nodes take the second round too
    assert scores == []


def test_a_topic_of_unknown_type_is_left_out_by_name(start, listener, tmp_path, monkeypatch):
    package = tmp_path / 'prefix/share/head_msgs/msg'
    package.mkdir(parents=True)
    (package / 'Thing.msg').write_text('float32 value\n')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path / 'prefix'))
    data = serialize_message(Float32(data=1.0))
    with BagWriter(tmp_path / 'odd') as writer:
        writer.write_raw('/thing', 'head_msgs/msg/Thing', data, S)
        writer.write_raw('/score', 'std_msgs/msg/Float32', data, S)
    scores = listener.listen(Float32, '/score')
    process = start('play', str(tmp_path / 'odd'), '--delay', '4')
    listener.wait_for(lambda: process.poll() is not None)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and len(scores) == 1
    assert '/thing is left out: head_msgs/msg/Thing is not installed' in err


def test_compressed_images_are_played_as_raw_ones_with_a_camera_info(start, listener, tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        out = BagTopics(writer)
        for i in range(5):
            stamp = S + i * S // 10
            out.jpeg('/cam/image/compressed', np.full((48, 64, 3), 40 * i, np.uint8), stamp)
            out.camera_info(CameraModel(64, 48, 77.0), stamp, '/cam/image/camera_info')
    images = listener.listen(Image, '/head/image_raw')
    infos = listener.listen(CameraInfo, '/head/camera_info')
    name = '/cam/image/compressed'
    process = start(
        *('play', str(tmp_path / 'bag'), '--image', name, '--topics', name),
        *('--namespace', 'head', '--delay', '4'),
    )
    listener.wait_for(lambda: process.poll() is not None)
    assert process.wait() == 0
    assert [(m.width, m.height, m.encoding) for m in images] == [(64, 48, 'bgr8')] * 5
    assert abs(images[3].data[0] - 120) < 4
    assert [m.k[0] for m in infos] == [77.0] * 5


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['gone'], 'gone: does not exist'),
        (['bag', '--topics', 'nothing'], 'has no topic /nothing (has /joint_states'),
        (['bag', '--start-offset', '60'], 'start offset 60 s is beyond'),
    ],
)
def test_what_cannot_be_played_is_one_clear_message_before_ros_begins(
    bag, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(bag.parent)
    monkeypatch.setattr('rclpy.init', lambda **_: pytest.fail('ROS has begun'))
    assert main(['play', *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_rate_that_cannot_be_played_is_one_clear_message(start, bag):
    process = start('play', 'bag', '--rate', '0')
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2, err
    assert 'rate = 0.0 must be from 0.01 to 100' in err and 'Traceback' not in err


def test_sigterm_ends_a_player_cleanly(start, listener, bag):
    states = listener.listen(JointState, 'joint_states')
    process = start('play', str(bag), '--loop')
    listener.wait_for(lambda: len(states) > 3)
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and 'Traceback' not in err
