"""Bags: what is written is read back, errors are clear, a killed recording stays readable."""

import itertools
import json
import resource
import shutil

import numpy as np
import pytest
from bag_scores import read_scores
from rosbags.rosbag2 import Reader

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import open_bag
from kf_imitation.bags.reader import (
    header_stamp_ns,
    read_joints,
    read_topic,
    repair_bag,
    topics,
)
from kf_imitation.bags.writer import BagWriter, Offered
from kf_imitation.cli.main import main
from kf_imitation.data_types import (
    CHANNELS,
    CameraModel,
    Expression,
    FaceRegion,
    HeadPose,
    Landmarks,
)
from kf_imitation.errors import BagError

S = 1_000_000_000


def write_everything(bag, seconds=3):
    out = BagTopics(bag)
    camera = CameraModel(64, 48, 55.0)
    for i in range(seconds * 10):
        stamp = 5 * S + i * S // 10
        out.camera_info(camera, stamp)
        out.score(i / 100, stamp)
        out.scalars('keyframe/explanation', {'score': i / 100, 'is_keyframe': i == 3}, stamp)
        out.joints('joint_states', ('jaw', 'neck'), (0.1 * i, -0.1), stamp, (0.0, 0.0), (0.2, 0.1))
        out.region(FaceRegion(1, 2, 30, 4) if i else None, stamp)
    points = np.arange(196, dtype=np.float32).reshape(98, 2)
    out.landmarks(Landmarks(6 * S, points, np.full(98, 0.5, np.float32)), 7 * S)
    values = np.linspace(0, 1, len(CHANNELS), dtype=np.float32)
    out.expression(Expression(6 * S, values, values), 7 * S)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    out.head_pose(HeadPose(6 * S, turn, np.array([0, 0, 0.5], np.float32), 0, 0, 0, 1.0))
    out.image('keyframe/image', np.full((4, 5, 3), 7, np.uint8), 6 * S)
    out.jpeg('preview', np.full((16, 16, 3), 90, np.uint8), 6 * S)


@pytest.fixture
def bag(tmp_path):
    with BagWriter(tmp_path / 'deep' / 'bag') as writer:
        write_everything(writer)
    return tmp_path / 'deep' / 'bag'


def test_what_a_bag_holds_is_printed_as_json(bag, capsys):
    assert main(['bag', 'info', str(bag), '--json', '-']) == 0
    found = json.loads(capsys.readouterr().out)
    assert found['topics']['/keyframe/score'] == {'type': 'std_msgs/msg/Float32', 'messages': 30}
    assert found['messages'] == sum(t['messages'] for t in found['topics'].values())
    assert found['end_ns'] > found['start_ns'] > 0


def test_a_bag_without_an_action_is_answered_with_the_command_that_was_meant(bag, capsys):
    with pytest.raises(SystemExit):
        main(['bag', str(bag)])
    assert f'did you mean kf_imitation bag info {bag}?' in capsys.readouterr().err


def test_who_names_one_file_of_a_bag_is_told_to_name_the_folder(bag, capsys):
    assert main(['bag', 'info', str(bag / 'metadata.yaml')]) == 2
    assert f'name the folder {bag}' in capsys.readouterr().err


def test_every_topic_is_read_back_as_it_was_written(bag):
    found = topics(bag)
    assert found['/keyframe/score'] == ('std_msgs/msg/Float32', 30)
    assert found['/camera_info'] == ('sensor_msgs/msg/CameraInfo', 30)
    stamps, scores = read_scores(bag)
    assert stamps[0] == 5 * S and stamps[-1] == 5 * S + 29 * S // 10
    np.testing.assert_allclose(scores, np.arange(30) / 100, rtol=1e-6)
    with open_bag(bag) as opened:
        stamps, names, positions = read_joints(opened)
    assert names == ('jaw', 'neck') and positions.shape == (30, 2)
    assert positions[10, 0] == pytest.approx(1.0) and stamps[10] == 6 * S
    written_ns, landmarks = next(read_topic(bag, 'face/landmarks'))
    assert written_ns == 7 * S and header_stamp_ns(landmarks) == 6 * S
    assert landmarks.header.frame_id == 'camera_optical_frame'
    assert [p.y for p in landmarks.polygon.points[:2]] == [1.0, 3.0]
    assert landmarks.polygon.points[97].z == 0.5
    _, expression = next(read_topic(bag, '/face/expression'))
    assert tuple(expression.name) == CHANNELS and expression.position[-1] == 1.0
    _, pose = next(read_topic(bag, 'face/head_pose'))
    assert pose.pose.orientation.z == pytest.approx(2**-0.5)
    regions = [len(m.polygon.points) for _, m in read_topic(bag, 'face/region')]
    assert regions == [0] + [4] * 29
    _, image = next(read_topic(bag, 'keyframe/image'))
    assert (image.width, image.height, image.step, image.encoding) == (5, 4, 15, 'bgr8')


def test_the_metadata_is_complete(bag):
    with Reader(bag) as reader:
        assert reader.message_count == 30 * 5 + 5
        assert reader.start_time == 5 * S and reader.end_time == 7 * S + 29 * S // 10 - 2 * S + 1
        assert all(c.digest.startswith('RIHS01_') for c in reader.connections)
    text = (bag / 'metadata.yaml').read_text()
    assert 'storage_identifier: mcap' in text and 'version: 9' in text


def test_equal_runs_write_equal_files(tmp_path):
    for name in 'ab':
        with BagWriter(tmp_path / name / 'bag') as writer:
            write_everything(writer)
    a, b = ((tmp_path / name / 'bag' / 'bag.mcap').read_bytes() for name in 'ab')
    assert a == b


def test_serialized_bytes_are_recorded_as_they_are(tmp_path):
    data = b'\x00\x01\x00\x00' + np.float32(0.25).tobytes()
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_raw('/keyframe/score', 'std_msgs/msg/Float32', data, 9)
    stamps, scores = read_scores(tmp_path / 'bag')
    assert (stamps, scores) == ([9], [0.25])


def test_a_declared_topic_is_listed_though_empty(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.declare('face/landmarks', 'geometry_msgs/msg/PolygonStamped')
    assert topics(tmp_path / 'bag') == {'/face/landmarks': ('geometry_msgs/msg/PolygonStamped', 0)}


def test_an_existing_folder_is_rejected_and_left_alone(tmp_path):
    (tmp_path / 'bag').mkdir()
    with pytest.raises(BagError, match='bag: exists already'):
        BagWriter(tmp_path / 'bag')
    assert list((tmp_path / 'bag').iterdir()) == []


def test_unknown_and_changed_types_are_rejected(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        with pytest.raises(BagError, match='/x has the unknown type no_msgs/msg/No'):
            writer.write_raw('x', 'no_msgs/msg/No', b'', 0)
        writer.declare('y', 'std_msgs/msg/Float32')
        with pytest.raises(BagError, match='/y is std_msgs/msg/Float32, not std_msgs/msg/Int8'):
            writer.declare('y', 'std_msgs/msg/Int8')
    with pytest.raises(BagError, match='is closed'):
        writer.declare('z', 'std_msgs/msg/Float32')


def test_a_type_of_the_robot_s_own_packages_is_recorded_with_its_definition(tmp_path, monkeypatch):
    package = tmp_path / 'prefix/share/head_msgs/msg'
    package.mkdir(parents=True)
    (package / 'Inner.msg').write_text('float32[] values\nuint8 KIND=3\n')
    (package / 'Outer.msg').write_text('std_msgs/Header header\nInner[] parts  # some\n')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path / 'prefix'))
    with BagWriter(tmp_path / 'bag') as writer:
        kind = 'head_msgs/msg/Outer'
        writer.declare('/parts', kind)
        types = writer.types
        head = types['std_msgs/msg/Header'](types['builtin_interfaces/msg/Time'](1, 2), 'eye')
        part = types['head_msgs/msg/Inner'](np.array([1.5], np.float32))
        writer.write('/parts', types[kind](head, [part]), 7)
    monkeypatch.delenv('AMENT_PREFIX_PATH')
    _, message = next(read_topic(tmp_path / 'bag', '/parts'))
    assert message.parts[0].values.tolist() == [1.5] and message.parts[0].KIND == 3


def limit_files(size):
    """Let no file of this process grow beyond a size, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_room_ends_the_bag_and_leaves_what_is_there_readable(tmp_path):
    writer = BagWriter(tmp_path / 'bag')
    out = BagTopics(writer)
    lift = limit_files(200_000)
    try:
        with pytest.raises(BagError, match=r'too large; stopped after [0-9]+ messages'):
            for i in range(10_000):
                out.joints('joint_states', ('jaw',), (0.1,), i * S // 100)
        writer.close()
    finally:
        lift()
    with open_bag(tmp_path / 'bag') as bag:
        assert len(read_joints(bag)[0]) > 500


def test_a_disk_without_room_for_the_index_is_reported_at_the_end(tmp_path):
    writer = BagWriter(tmp_path / 'bag')
    BagTopics(writer).score(0.5, 1)
    lift = limit_files(300)
    try:
        with pytest.raises(BagError, match='cannot be completed: File too large'):
            writer.close()
    finally:
        lift()


def test_a_full_disk_stops_before_it_begins(tmp_path):
    with pytest.raises(BagError, match='499 MB free on this disk, minimum 500 MB'):
        BagWriter(tmp_path / 'bag', free_mb=lambda folder: 499.0)
    assert not (tmp_path / 'bag').exists()


def test_a_disk_that_fills_up_ends_the_bag_in_good_order(tmp_path):
    free = [900.0, 100.0]
    writer = BagWriter(tmp_path / 'bag', free_mb=lambda folder: free.pop(0))
    out = BagTopics(writer)
    out.score(0.5, 1)
    with pytest.raises(BagError, match='stopped after 1 messages: 100 MB free'):
        out.image('image_raw', np.zeros((1200, 1200, 3), np.uint8), 2)
    assert read_scores(tmp_path / 'bag')[1] == [0.5]


def test_an_error_of_the_caller_leaves_a_readable_bag(tmp_path):
    def crash():
        with BagWriter(tmp_path / 'bag') as writer:
            BagTopics(writer).score(0.5, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert read_scores(tmp_path / 'bag')[1] == [0.5]


@pytest.fixture
def killed(tmp_path):
    """What a kill would leave: scores from 5.0 s to 9.9 s, flushed every half second."""
    with BagWriter(tmp_path / 'bag') as writer:
        for i in range(50):
            BagTopics(writer).score(i / 100, 5 * S + i * S // 10)
        shutil.copytree(tmp_path / 'bag', tmp_path / 'killed')
    with (tmp_path / 'killed' / 'bag.mcap').open('ab') as file:
        file.write(b'\x06\xff\x00\x00')  # and half a record
    return tmp_path / 'killed'


def test_a_killed_recording_is_read_as_it_is_up_to_the_last_half_second(killed, caplog):
    before = (killed / 'bag.mcap').read_bytes()
    stamps, scores = read_scores(killed)
    assert len(scores) == 46 and stamps[0] == 5 * S and stamps[-1] == 95 * S // 10
    assert topics(killed) == {'/keyframe/score': ('std_msgs/msg/Float32', 46)}
    assert 'bag.mcap was not closed' in caplog.text
    assert (killed / 'bag.mcap').read_bytes() == before


def test_a_killed_recording_is_repaired_for_other_programs(killed):
    before = read_scores(killed)[1]
    assert repair_bag(killed) == 46
    with Reader(killed) as reader:
        assert reader.message_count == 46 and reader.start_time == 5 * S
        assert len(list(reader.messages(start=9 * S))) == 6  # found by the index
    assert read_scores(killed)[1] == before
    assert repair_bag(killed) == 46  # nothing more to do


def test_a_kill_at_any_byte_loses_at_most_the_last_chunk(tmp_path, killed):
    data = (killed / 'bag.mcap').read_bytes()
    counts = []
    for size in range(len(data), 60, -97):
        (tmp_path / 'cut.mcap').write_bytes(data[:size])
        counts.append(sum(n for _, n in topics(tmp_path / 'cut.mcap').values()))
    assert counts == sorted(counts, reverse=True)
    steps = {a - b for a, b in itertools.pairwise(counts)}
    assert steps <= {0, 5, 6} and counts[0] == 46 and counts[-1] == 0


def test_messages_out_of_order_in_a_killed_recording_are_read_in_order(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for stamp in (3, 1, 2):
            BagTopics(writer).score(stamp, stamp)
            writer.flush()
        shutil.copytree(tmp_path / 'bag', tmp_path / 'killed')
    assert read_scores(tmp_path / 'killed')[1] == [1, 2, 3]


def test_a_recording_that_was_killed_at_once_is_an_empty_bag(tmp_path):
    writer = BagWriter(tmp_path / 'bag')
    shutil.copytree(tmp_path / 'bag', tmp_path / 'killed')
    writer.close()
    assert topics(tmp_path / 'killed') == {}
    assert repair_bag(tmp_path / 'killed') == 0
    assert topics(tmp_path / 'killed') == {}


def test_a_flush_without_news_writes_nothing(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        BagTopics(writer).score(0.5, 1)
        writer.flush()
        size = (tmp_path / 'bag' / 'bag.mcap').stat().st_size
        writer.flush()
        assert (tmp_path / 'bag' / 'bag.mcap').stat().st_size == size


def test_a_closed_bag_that_was_cut_later_is_rejected_but_its_file_can_be_read(bag):
    file = bag / 'bag.mcap'
    file.write_bytes(file.read_bytes()[:-4000])
    with pytest.raises(BagError, match=r'bag\.mcap is cut off; copy it again, or name the file'):
        topics(bag)
    assert topics(file)['/camera_info'][1] > 0


def test_a_bag_reports_which_publishers_keep_messages_for_late_listeners(tmp_path):
    """Played without it, such topics did not match a recorder, which lost their first messages."""
    path = tmp_path / 'bag'
    with BagWriter(path) as writer:
        for stamp in (1, 2):
            writer.write_raw('kept', 'std_msgs/msg/Float32', bytes(8), stamp, Offered(kept=True))
        writer.write_raw('fleeting', 'std_msgs/msg/Float32', bytes(8), 3)
        writer.flush()
        shutil.copytree(path, tmp_path / 'killed')
    repair_bag(tmp_path / 'killed')
    for copy in (path, tmp_path / 'killed', tmp_path / 'killed' / 'bag.mcap'):
        with open_bag(copy) as opened:
            kept = {name: topic.kept for name, topic in opened.topics.items()}
        assert kept == {'/kept': True, '/fleeting': False}, copy


def test_repairing_a_closed_bag_changes_nothing(bag):
    before = (bag / 'bag.mcap').read_bytes()
    repair_bag(bag)
    assert (bag / 'bag.mcap').read_bytes() == before


def test_reading_errors_name_bag_and_topic(bag, tmp_path):
    with pytest.raises(BagError, match='nope: does not exist'):
        topics(tmp_path / 'nope')
    with pytest.raises(BagError, match='has no topic /nothing \\(has /camera_info, /face'):
        list(read_topic(bag, 'nothing'))
    (tmp_path / 'junk.mcap').write_bytes(b'not a bag at all')
    with pytest.raises(BagError, match='cannot be read'):
        topics(tmp_path / 'junk.mcap')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(BagError, match='is not a bag'):
        topics(tmp_path / 'empty')
