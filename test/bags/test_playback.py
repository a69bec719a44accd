"""When a bag's messages are due, and what of a bag is played."""

import pytest

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import open_bag
from kf_imitation.bags.playback import BagPlay, PlayClock, header_stamp_ns, shifted
from kf_imitation.bags.writer import BagWriter
from kf_imitation.errors import BagError

S = 1_000_000_000


@pytest.fixture
def reader(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        out = BagTopics(writer)
        for i in range(30):
            out.score(i / 100, 5 * S + i * S // 10)
            out.joints('joint_states', ('jaw',), (0.1 * i,), 5 * S + i * S // 10)
        writer.declare('face/landmarks', 'geometry_msgs/msg/PolygonStamped')
    reader = open_bag(tmp_path / 'bag')
    yield reader
    reader.close()


class Wall:
    now = 100.0

    def __call__(self):
        return self.now


def test_bag_time_runs_at_its_rate():
    wall = Wall()
    clock = PlayClock(2.0, wall)
    clock.start(7 * S)
    assert clock.now_ns() == 7 * S and clock.wait_s(8 * S) == 0.5
    wall.now += 0.25
    assert clock.now_ns() == 7 * S + S // 2 and clock.wait_s(8 * S) == 0.25
    wall.now += 1.0
    assert clock.wait_s(8 * S) == -0.75


def test_bag_time_can_be_set_back_to_a_message_that_had_to_wait():
    wall = Wall()
    clock = PlayClock(1.0, wall)
    clock.start(0)
    wall.now += 3
    clock.start(1 * S)
    assert clock.now_ns() == 1 * S


def test_all_topics_with_messages_are_played_in_order(reader):
    play = BagPlay(reader, (), 0.0)
    assert play.kinds == {
        '/keyframe/score': 'std_msgs/msg/Float32',
        '/joint_states': 'sensor_msgs/msg/JointState',
    }
    stamps = [m.stamp_ns for m in play.messages()]
    assert len(stamps) == 60 and stamps == sorted(stamps)
    assert [m.stamp_ns for m in play.messages()] == stamps  # once more, for a loop


def test_topics_and_start_are_chosen(reader):
    play = BagPlay(reader, ['joint_states'], 1.0)
    rows = list(play.messages())
    assert {m.topic for m in rows} == {'/joint_states'}
    assert rows[0].stamp_ns == 6 * S and len(rows) == 20
    assert header_stamp_ns(rows[0].data) == 6 * S


def test_in_a_loop_time_goes_on(reader):
    play = BagPlay(reader, ['joint_states'], 1.0)
    first, second = list(play.messages()), list(play.messages(play.period_ns))
    assert second[0].stamp_ns - first[-1].stamp_ns == S
    assert [m.stamp_ns - play.period_ns for m in second] == [m.stamp_ns for m in first]
    for one, other in zip(first, second, strict=True):
        assert header_stamp_ns(other.data) == header_stamp_ns(one.data) + play.period_ns
        assert one.data[12:] == other.data[12:]
    scores = BagPlay(reader, ['keyframe/score'], 0.0)  # no header to move
    assert [m.data for m in scores.messages(S)] == [m.data for m in scores.messages()]


def test_an_empty_stamp_stays_empty():
    data = b'\x00\x01\x00\x00' + bytes(20)
    assert shifted(data, S) == data
    big = b'\x00\x00\x00\x00' + (7).to_bytes(4, 'big') + (999_999_999).to_bytes(4, 'big')
    assert header_stamp_ns(shifted(big, 1)) == 8 * S


def test_a_mistake_of_ours_is_not_called_damage(reader, monkeypatch):
    """AttributeError and its like were taken for damaged bytes wherever they came from."""

    def mistaken(data, later_ns):
        raise AttributeError('no such name')

    monkeypatch.setattr('kf_imitation.bags.playback.shifted', mistaken)
    with pytest.raises(AttributeError, match='no such name'):
        list(BagPlay(reader, ('joint_states',), 0.0).messages(S))


def test_what_cannot_be_played_is_rejected_by_name(reader):
    with pytest.raises(
        BagError, match=r'bag: has no topic /nothing \(has /face/landmarks, /joint'
    ):
        BagPlay(reader, ['nothing', 'joint_states'], 0.0)
    with pytest.raises(BagError, match=r'holds no message on the topics'):
        BagPlay(reader, ['face/landmarks'], 0.0)
    with pytest.raises(BagError, match=r'2\.9 s long, start offset 3 s is beyond'):
        BagPlay(reader, (), 3.0)
