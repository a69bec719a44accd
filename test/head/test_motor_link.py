"""The connection between a head and its motor process."""

import socket

import numpy as np
import pytest

from kf_imitation.errors import BusError, ConfigError, KfImitationError, ServoSetupError
from kf_imitation.head import motor_link
from kf_imitation.head.motor_link import (
    MOST_BYTES,
    PACKET,
    Kind,
    MotorError,
    MotorLink,
    socket_pair,
)
from kf_imitation.head.motor_messages import (
    cycle_content,
    cycle_from,
    error_from,
    error_values,
    points_array,
    points_from,
)
from kf_imitation.head.reports import ServoCycle
from kf_imitation.motion.waypoints import TrajectoryPoint


@pytest.fixture
def link():
    ends = [MotorLink(end) for end in socket_pair()]
    yield ends
    for end in ends:
        end.close()


def test_a_message_arrives_as_it_was_sent(link):
    here, there = link
    array = np.array([0.1, np.nan, -1e300])
    assert here.send(Kind.CALL, {'act': 'goal', 'stamp_ns': 2**62}, array, number=7)
    (message,) = there.receive()
    assert (message.kind, message.number) == (Kind.CALL, 7)
    assert message.values == {'act': 'goal', 'stamp_ns': 2**62}
    np.testing.assert_array_equal(message.array, array)
    assert 0.0 <= message.age_s < 10.0
    assert list(there.receive()) == []


def test_a_long_message_goes_in_parts_and_arrives_whole(link):
    here, there = link
    array = np.arange(3 * PACKET / 8)
    assert here.send(Kind.CALL, {'act': 'trajectory'}, array)
    (message,) = there.receive()
    np.testing.assert_array_equal(message.array, array)


def test_a_message_that_did_not_fit_as_a_whole_is_left_out(link):
    here, there = link
    assert not here.send(Kind.CALL, {'act': 'long'}, np.zeros(40 * PACKET // 8))
    assert list(there.receive()) == []
    assert here.send(Kind.CALL, {'act': 'short'})
    assert [message.values['act'] for message in there.receive()] == ['short']


def test_a_full_pipe_makes_nobody_wait(link):
    here, there = link
    sent = 0
    while here.send(Kind.CYCLE, {}, np.zeros(125)):
        sent += 1
        assert sent < 100_000
    assert sent > 50  # half a second of cycles
    assert len(list(there.receive())) == sent
    assert here.send(Kind.CYCLE)


def test_nothing_longer_than_the_bound_is_sent(link):
    with pytest.raises(ValueError, match='at most'):
        link[0].send(Kind.CALL, {}, np.zeros(MOST_BYTES))


def test_the_end_of_the_other_process_shows_at_once(link):
    here, there = link
    there.close()
    assert not here.send(Kind.REPORT)
    with pytest.raises(EOFError):
        list(here.receive())


def test_another_version_is_reported_and_not_understood(link, monkeypatch):
    here, there = link
    monkeypatch.setattr(motor_link, 'VERSION', 3)
    here.send(Kind.CALL)
    monkeypatch.undo()
    with pytest.raises(MotorError, match='version 3 of the motor link, this one 2'):
        list(there.receive())


def test_a_cycle_arrives_as_it_was(link):
    here, there = link
    arrays = {
        name: np.array([i, -i / 3.0])
        for i, name in enumerate(
            ('goal_rad', 'commanded_rad', 'present_rad', 'velocity_rad_s', 'current_a')
        )
    }
    cycle = ServoCycle(5, ('jaw', 'yaw'), **arrays, fresh=True, commanding=False, errors=('x',))
    here.send(Kind.CYCLE, *cycle_content(cycle))
    (message,) = there.receive()
    again = cycle_from(message, ('jaw', 'yaw'))
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(again, name), array)
    assert (again.stamp_ns, again.fresh, again.commanding, again.errors) == (
        5,
        True,
        False,
        ('x',),
    )


def test_points_arrive_as_they_were_with_and_without_velocities():
    points = [
        TrajectoryPoint(0.5, (0.1, 0.2), (0.0, -0.1)),
        TrajectoryPoint(1.0, (0.3, 0.4)),
    ]
    assert points_from(points_array(points, 2).ravel(), 2) == points


@pytest.mark.parametrize(
    'error',
    [BusError('silent'), ServoSetupError('port', ['a', 'b']), ConfigError('file', ['c'])],
)
def test_errors_are_the_same_on_the_other_side(error):
    again = error_from(error_values(error))
    assert type(again) is type(error) and str(again) == str(error)
    assert getattr(again, 'faults', ()) == getattr(error, 'faults', ())


def test_errors_of_other_rooms_are_motor_errors():
    class OddError(KfImitationError):
        pass

    assert type(error_from(error_values(OddError('odd')))) is MotorError


def test_the_ends_are_a_private_pair_of_sockets():
    for end in socket_pair():
        assert (end.family, end.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET)
        assert not end.get_inheritable()
        end.close()
