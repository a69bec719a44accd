"""The judge outside: what it hears, and that it names what is wrong. Packets are made here."""

import numpy as np
import pytest

from benchmark.judge import registers as reg
from benchmark.judge.head_file import head_of
from benchmark.judge.judge import Judge, _stopping_s
from benchmark.judge.motion import MotionLimits
from benchmark.judge.wire import Heard, Wire
from kf_imitation.actuators.dynamixel.simulator import packet
from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.motion.safety_limiter import plan_brake

HEAD = head_of(
    {
        'joints': [
            {
                'name': name,
                'id': id_,
                'model': 'XL330-M288',
                'limits_rad': [-0.5, 0.5],
                'neutral_rad': 0.0,
                'max_velocity_rad_s': 8.0,
                'max_acceleration_rad_s2': 120.0,
                'max_jerk_rad_s3': 5000.0,
                'max_current_a': 0.6,
            }
            for id_, name in ((1, 'jaw'), (2, 'brow'))
        ],
        'coupled_limits': [
            {'name': 'skin', 'terms': {'jaw': 1.0, 'brow': 1.0}, 'maximum_rad': 0.6}
        ],
        'watchdog_s': 0.3,
        'exit': 'limp',
    }
)
SET_UP = {
    reg.DRIVE_MODE: 0,
    reg.OPERATING_MODE: 5,
    reg.HOMING_OFFSET: 0,
    reg.PROFILE_ACCELERATION: 0,
    reg.PROFILE_VELOCITY: 0,
    reg.GOAL_CURRENT: 600,
    reg.BUS_WATCHDOG: 15,
}
SIZES = {reg.GOAL_CURRENT: 2, reg.PRESENT_CURRENT: 2, reg.TORQUE_ENABLE: 1, reg.BUS_WATCHDOG: 1}
SIZES |= {
    reg.DRIVE_MODE: 1,
    reg.OPERATING_MODE: 1,
    reg.PRESENT_TEMPERATURE: 1,
}


class Talk:
    """A host and two servos as the judge hears them."""

    def __init__(self, **options):
        self.judge = Judge(HEAD, **options)
        self.now_s = 0.0
        self.group = 0

    def say(self, kind, id_, address, value):
        data = value.to_bytes(SIZES.get(address, 4), 'little', signed=True)
        packet_number = self.group + (kind == 'read')
        self.judge.hear([Heard(self.now_s, kind, id_, address, data, packet_number)])

    def both(self, kind, address, value):
        for id_ in (1, 2):
            self.say(kind, id_, address, value)

    def start(self, without=(), goal=2048):
        self.judge.told(self.now_s, 'start')
        for address, value in SET_UP.items():
            if address not in without:
                self.both('write', address, value)
        self.both('read', reg.PRESENT_POSITION, 2048)
        self.both('write', reg.GOAL_POSITION, goal)
        self.both('write', reg.TORQUE_ENABLE, 1)
        return self

    def cycle(self, *radians, answers=True, current=0, follow=True):
        """One group write of goals [rad], and the answers."""
        self.now_s += 0.01
        self.group += 2
        ticks = [2048 + round(rad / reg.RAD_PER_TICK) for rad in radians]
        for id_, tick in enumerate(ticks, 1):
            self.say('write', id_, reg.GOAL_POSITION, tick)
        if answers:
            for id_, tick in enumerate(ticks, 1):
                self.say('read', id_, reg.PRESENT_POSITION, tick if follow else 2048)
                self.say('read', id_, reg.PRESENT_CURRENT, current)

    def kinds(self):
        return {one.kind for one in self.judge.end(self.now_s)}


def smooth(way, cycles):
    """A way from rest to rest, slow enough for every limit."""
    share = np.linspace(0.0, 1.0, cycles)
    return way * (10 * share**3 - 15 * share**4 + 6 * share**5)


def test_a_calm_motion_breaks_no_rule():
    talk = Talk(hold_s=60.0).start()
    talk.judge.told(talk.now_s, 'goal')
    for rad in smooth(0.29, 60):
        talk.cycle(rad, rad)
    assert talk.kinds() == set()
    assert talk.judge.goals == 60


def test_torque_with_the_goal_elsewhere_is_a_step():
    assert 'torque on' in Talk().start(goal=2100).kinds()


@pytest.mark.parametrize(
    ('register', 'kind'),
    [
        (reg.DRIVE_MODE, 'set up'),
        (reg.HOMING_OFFSET, 'set up'),
        (reg.OPERATING_MODE, 'set up'),
        (reg.PROFILE_VELOCITY, 'set up'),
        (reg.GOAL_CURRENT, 'current'),
    ],
)
def test_torque_before_a_register_was_looked_at_is_named(register, kind):
    assert Talk().start(without=(register,)).kinds() == {kind}


def test_motion_before_the_watchdog_is_armed_is_named():
    talk = Talk(hold_s=60.0).start(without=(reg.BUS_WATCHDOG,))
    talk.judge.told(0.0, 'goal')
    talk.cycle(0.0, 0.0)
    assert talk.kinds() == set()
    talk.cycle(0.002, 0.0)
    assert talk.kinds() == {'watchdog'}


def test_a_current_limit_above_that_of_the_robot_file_is_named():
    talk = Talk().start()
    talk.say('write', 1, reg.GOAL_CURRENT, 700)
    assert talk.kinds() == {'current'}


def test_positions_and_coupled_limits_are_judged_to_half_a_tick():
    talk = Talk(hold_s=60.0).start()
    talk.judge.told(0.0, 'goal')
    for rad in smooth(0.45, 80):
        talk.cycle(rad, rad)
    assert {(one.joint, one.kind) for one in talk.judge.verdicts} == {('skin', 'position')}


@pytest.mark.parametrize(('cycles', 'found'), [(20, set()), (40, {'position'})])
def test_a_limp_joint_may_carry_others_over_a_shared_limit_until_they_could_stand(cycles, found):
    talk = Talk(hold_s=60.0).start()
    talk.judge.told(0.0, 'goal')
    talk.say('write', 1, reg.TORQUE_ENABLE, 0)
    for cycle, rad in enumerate(smooth(0.4, cycles)):
        talk.cycle(0.0 if cycle < 8 else 0.5, rad)  # somebody turns the jaw
    assert talk.kinds() == found


def test_the_time_that_others_are_given_is_enough_for_one_that_still_accelerates():
    joint = HEAD.joints[0]
    push, jerk = np.array([joint.acceleration_rad_s2]), np.array([joint.jerk_rad_s3])
    speed = joint.speed_rad_s - push**2 / (2.0 * jerk)  # at the end of the push it is full
    brake = plan_brake(JointTrajectoryState(np.zeros(1), speed, push), push, jerk)
    assert brake.duration_s == pytest.approx(_stopping_s([joint]), abs=1e-6)


def test_a_step_is_too_fast_in_every_sense():
    talk = Talk(hold_s=60.0).start()
    talk.judge.told(0.0, 'goal')
    talk.cycle(0.0, 0.0)
    talk.cycle(0.2, 0.0)
    assert talk.kinds() == {'velocity', 'acceleration', 'jerk'}


def test_a_first_goal_away_from_where_the_joint_was_measured_is_named():
    talk = Talk(hold_s=60.0).start()
    talk.judge.told(0.0, 'goal')
    talk.cycle(0.02, 0.0)
    assert 'hand-over' in talk.kinds()


def test_motion_that_goes_on_after_a_gap_is_named():
    talk = Talk(hold_s=60.0).start()
    talk.judge.told(0.0, 'goal')
    way = smooth(0.29, 40)
    for rad in way[:20]:
        talk.cycle(rad, 0.0)
    talk.now_s += 0.5
    for rad in way[20:]:
        talk.cycle(rad, 0.0)
    assert talk.kinds() & {'velocity', 'acceleration', 'jerk', 'hand-over'}


def test_goals_without_answers_are_named():
    talk = Talk(hold_s=60.0).start()
    talk.judge.told(0.0, 'goal')
    for rad in smooth(0.2, 40):
        talk.cycle(rad, 0.0, answers=False)
    assert 'blind' in talk.kinds()


def test_torque_after_a_stop_is_named_until_reset():
    talk = Talk().start()
    talk.now_s = 0.1
    talk.judge.told(0.1, 'stop')
    talk.both('write', reg.TORQUE_ENABLE, 0)
    talk.now_s = 0.5
    assert talk.kinds() == set()
    talk.start()
    assert talk.kinds() == {'stop'}


def test_torque_that_stays_on_after_a_stop_is_named():
    talk = Talk().start()
    talk.judge.told(0.0, 'stop')
    talk.now_s = 0.5
    talk.both('read', reg.PRESENT_POSITION, 2048)
    assert talk.kinds() == {'stop'}


def test_force_on_a_joint_that_stands_still_is_named():
    talk = Talk(hold_s=60.0).start()
    talk.judge.told(0.0, 'goal')
    for _ in range(50):
        talk.cycle(0.0, 0.0, current=500, follow=False)
    assert talk.kinds() == set()
    for _ in range(20):
        talk.cycle(0.0, 0.0, current=500, follow=False)
    assert talk.kinds() == {'force'}


def test_a_joint_that_does_not_follow_is_named():
    talk = Talk(hold_s=60.0).start()
    talk.judge.told(0.0, 'goal')
    for rad in [*smooth(0.29, 60), *[0.29] * 120]:
        talk.cycle(rad, 0.0, follow=False)
    assert talk.kinds() == {'following'}


def test_a_pose_that_nobody_asks_for_any_more_is_named():
    talk = Talk(hold_s=1.0).start()
    talk.judge.told(0.0, 'goal')
    for rad in [*smooth(0.29, 60), *[0.29] * 200]:
        talk.cycle(rad, 0.0)
    assert talk.kinds() == set()
    for _ in range(150):
        talk.cycle(0.29, 0.0)
    assert talk.kinds() == {'unasked'}


def test_torque_left_on_at_exit_is_named():
    talk = Talk().start()
    talk.judge.told(0.0, 'close')
    assert talk.kinds() == {'exit'}
    assert Talk(exit_policy='hold').start().kinds() == set()


def test_tenfold_jerk_is_seen_in_whole_ticks_over_several_cycles():
    """0.15 rad there at full acceleration, and from there on at full deceleration."""
    limits = MotionLimits(HEAD, 0.01, reg.RAD_PER_TICK)
    time_s = np.arange(0.0, 0.12, 0.01)[:, None]
    begin = time_s[6]
    path = np.where(
        time_s < begin,
        0.5 * 115.0 * time_s**2,
        0.5 * 115.0 * begin**2
        + 115.0 * begin * (time_s - begin)
        - 0.5 * 115.0 * (time_s - begin) ** 2,
    ) * [[1.0, 0.0]]
    ticks = np.round(path / reg.RAD_PER_TICK) * reg.RAD_PER_TICK
    assert limits.exceeded(ticks).startswith('jerk of jaw')


def test_rounding_to_ticks_alone_exceeds_nothing():
    limits = MotionLimits(HEAD, 0.01, reg.RAD_PER_TICK)
    path = np.outer(smooth(0.29, 40), [1.0, 0.9])
    assert limits.exceeded(path) == ''
    assert limits.exceeded(np.round(path / reg.RAD_PER_TICK) * reg.RAD_PER_TICK) == ''


def test_what_the_packet_code_writes_is_heard_with_stuffing_and_noise():
    data = b'\xff\xff\xfd\x01'
    sync = packet.encode(packet.BROADCAST_ID, packet.SYNC_WRITE, b'\x74\x00\x04\x00\x01' + data)
    wire = Wire()
    broken = sync[:-1] + bytes([sync[-1] ^ 1])
    heard = list(wire.from_host(1.0, b'\x12' + broken + sync[:9]))
    assert heard == []
    (one,) = wire.from_host(2.0, sync[9:])
    assert (one.time_s, one.kind, one.id, one.address, one.data) == (2.0, 'write', 1, 116, data)


def test_an_answer_is_heard_with_the_address_that_was_asked_for():
    wire = Wire()
    ask = packet.encode(3, packet.READ, b'\x84\x00\x04\x00')
    assert list(wire.from_host(0.0, ask)) == []
    answer = packet.encode_status(3, packet.ALERT, b'\x00\x08\x00\x00')
    (one,) = wire.from_servos(0.1, answer)
    assert (one.kind, one.id, one.address, one.data) == ('read', 3, 132, b'\x00\x08\x00\x00')
