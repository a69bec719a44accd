"""Situations in which a broken limiter, guard or protocol would show, judged from outside.

Each is a fresh head on virtual time; what it does to the head is its text. `python -m
benchmark.judged_rows [WORDS]` runs those whose name has the words in it.
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from benchmark.judge.judge import Verdict
from benchmark.virtual_head import VirtualHead, sim_face
from kf_imitation.errors import KfImitationError, ServoSetupError
from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.motion.planner import MotionPlanner

# Both directions, both sizes of servo, and coupled limits.
JOINTS = ('jaw', 'mouth_corner_left', 'eyelid_right', 'gaze_pitch', 'neck_yaw')
Row = Callable[[], VirtualHead]
ROWS: dict[str, Row] = {}


def row(name: str) -> Callable[[Row], Row]:
    """Enter a situation into the table."""

    def enter(function: Row) -> Row:
        ROWS[name] = function
        return function

    return enter


def head(changes: dict[str, Any] | None = None, **options: Any) -> VirtualHead:
    """Return a head of a few joints of sim_face."""
    return VirtualHead(changes, joints=JOINTS, **options)


def turn(one: VirtualHead, joint: str, rad: float) -> None:
    """Turn a limp servo by hand, by an angle of the joint."""
    servo = one.servo(joint)
    servo.physics.angle_rad += rad * one.robot.joints[one.robot.names.index(joint)].direction
    servo.physics.horn_rad = servo.physics.angle_rad


@row('a new pose every 80 ms, many at the limits')
def bold() -> VirtualHead:
    """Poses change in mid-motion, towards limits and coupled limits."""
    one = head(seed=1)
    one.start()
    one.run(8.0, goal_cycles=8, extreme=0.6)
    one.close()
    return one


@row('a planner that proposes nonsense')
def nonsense() -> VirtualHead:
    """Now and then a proposal is too fast, beyond a limit, or noise: the limiter has to answer."""
    one = head(seed=3)
    chance = np.random.default_rng(3)
    real = MotionPlanner.next

    def spoilt(planner: MotionPlanner) -> JointTrajectoryState | None:
        proposal = real(planner)
        if proposal is None or chance.random() > 0.05:
            return proposal
        noise = 10.0 ** chance.integers(-3, 1) * chance.normal(size=len(proposal.position))
        return JointTrajectoryState(
            proposal.position + noise, proposal.velocity, proposal.acceleration
        )

    with mock.patch.object(MotionPlanner, 'next', spoilt):
        one.start()
        one.run(5.0, goal_cycles=30, extreme=0.5)
        one.close()
    return one


@row('a planner that aims beyond the limits')
def beyond() -> VirtualHead:
    """Every step of its plans is good, their end is not."""
    one = head(seed=4)
    real = MotionPlanner.plan

    def far(
        planner: MotionPlanner, start: JointTrajectoryState, goal_rad: np.ndarray, *rest: Any
    ) -> bool:
        return real(planner, start, 1.5 * goal_rad, *rest)

    with mock.patch.object(MotionPlanner, 'plan', far):
        one.start()
        one.run(4.0, goal_cycles=50, extreme=1.0)
        one.close()
    return one


@row('a pose now and then')
def calm() -> VirtualHead:
    """Long ways, from rest to rest."""
    one = head(seed=2)
    one.start()
    one.run(5.0, goal_cycles=60, extreme=0.5)
    one.close()
    return one


@row('starts away from neutral')
def elsewhere() -> VirtualHead:
    """The joints stand anywhere when the head is switched on."""
    one = head()
    for joint, rad in (('jaw', 0.3), ('eyelid_right', -0.5), ('neck_yaw', 0.7)):
        turn(one, joint, rad)
    one.start()
    one.run(2.0)
    one.close()
    return one


@row('starts outside its limits')
def outside() -> VirtualHead:
    """A joint stands beyond its end when the head is switched on."""
    one = head()
    turn(one, 'neck_yaw', 1.15)
    one.start()
    one.run(2.5)
    one.close()
    return one


@row('stopped in mid-motion, off and on again')
def stopped() -> VirtualHead:
    """A stop lasts through off and on, a new pose does not end it."""
    one = head()
    one.start()
    one.run(0.5, goal_cycles=15, extreme=1.0)
    one.stop()
    one.run(0.4, goal_cycles=10)
    one.controller.close()
    one.controller.start(threaded=False)
    one.run(0.6, goal_cycles=10)
    one.controller.close()
    return one


@row('stopped and held in mid-motion')
def held() -> VirtualHead:
    """`stop: hold` brakes and stays."""
    one = head({'stop': 'hold'})
    one.start()
    one.goal(neck_yaw=-0.85)
    one.run(1.0)
    one.goal(neck_yaw=0.85, jaw=0.48)
    one.run(0.15)
    one.stop()
    one.run(1.5, goal_cycles=10)
    return one


@row('reset while a held stop still brakes')
def reset_soon() -> VirtualHead:
    """What is taken over has come to rest."""
    one = VirtualHead({'stop': 'hold'}, ('neck_yaw',))
    one.start()
    one.goal(neck_yaw=0.85)
    one.run(0.15)
    one.stop()
    one.run(0.02)
    one.reset()
    one.run(2.0)
    one.close()
    return one


@row('left while a reset waits, held')
def left_soon() -> VirtualHead:
    """`exit: hold` holds, as the reset asks for, once what brakes has come to rest."""
    one = VirtualHead({'stop': 'hold', 'exit': 'hold'}, ('neck_yaw',))
    one.start()
    one.goal(neck_yaw=0.85)
    one.run(0.15)
    one.stop()
    one.run(0.01)
    one.reset()
    one.close()
    return one


@row('stopped while unplugged')
def stopped_unplugged() -> VirtualHead:
    """Torque goes as soon as the line is back, whenever that is."""
    one = head()
    one.start()
    for turn_of in range(5):
        one.goal(neck_yaw=0.3)
        one.run(0.6)
        one.port.unplug()
        one.stop()
        one.run(0.3 + 0.02 * turn_of)
        one.port.plug()
        one.judge.told(one.now_s, 'plugged')
        one.run(0.6)
        one.reset()
        one.run(1.0, until=lambda: one.controller.cycle.all_running)
    one.close()
    return one


@row('pushed away while held by a stop')
def pushed() -> VirtualHead:
    """A joint that is held does not press for ever."""
    one = head({'stop': 'hold'})
    one.start()
    one.run(0.2)
    one.stop()
    one.run(0.3)
    surroundings = one.servo('neck_yaw').physics.surroundings
    surroundings.load = 0.6
    one.run(0.25)
    surroundings.load, surroundings.blocked = 0.0, True
    one.run(4.0)
    return one


@row('servo back as the head is left')
def back_and_left() -> VirtualHead:
    """A servo that has just come back goes to neutral with the others."""
    one = head({'exit': 'neutral_limp'})
    one.start()
    one.run(0.2)
    one.stop()
    one.run(0.1)
    turn(one, 'jaw', 0.3)
    one.fault('overload 1')
    one.run(0.1)
    one.reset()
    one.run(0.5)
    one.controller.recover(careful=True)
    one.run(0.1)
    one.run(5.0, until=lambda: not one.controller.cycle.monitor.reasons)
    one.close()
    return one


@row('moved by hand while stopped, then reset')
def by_hand() -> VirtualHead:
    """Torque comes back where the joints are, then neutral, not the pose of before."""
    one = head()
    one.start()
    one.goal(neck_yaw=0.8, jaw=0.4)
    one.run(0.8)
    one.stop()
    one.run(0.3)
    turn(one, 'neck_yaw', -1.2)
    turn(one, 'mouth_corner_left', 0.3)
    one.run(0.1)
    one.reset()
    one.run(4.0)
    return one


@row('host asleep for 0.4 s in mid-motion')
def asleep() -> VirtualHead:
    """After the gap motion starts again at rest."""
    one = head()
    one.start()
    one.run(0.3)
    for _ in range(4):
        one.goal(neck_yaw=-0.85, jaw=0.0, eyelid_right=0.2)
        one.run(0.5)
        one.goal(neck_yaw=0.85, jaw=0.48, eyelid_right=-0.6)
        one.run(0.09)
        one.sleep(0.4)
        one.run(0.8)
    return one


@row('replies lost for 70 ms in mid-motion')
def gap() -> VirtualHead:
    """Short of a lost bus: nothing moves without an answer, then again at rest."""
    one = head()
    one.start()
    one.run(0.3)
    for _ in range(3):
        one.goal(neck_yaw=-0.85, jaw=0.0, eyelid_right=0.2)
        one.run(0.6)
        one.goal(neck_yaw=0.85, jaw=0.48, eyelid_right=-0.6)
        one.run(0.09)
        one.fault('silence')
        one.run(0.07)
        one.fault('normal')
        one.run(0.7)
    return one


@row('moved by hand while its servo restarts')
def restarted() -> VirtualHead:
    """It comes back beside a jaw in motion, and the two must not exceed their limit together."""
    one = head()
    one.start()
    one.goal(mouth_corner_left=0.3)
    one.run(1.0)
    for turn_of in range(4):
        one.fault(f'reboot {one.servo("mouth_corner_left").id}')
        one.run(0.1 + 0.02 * turn_of)
        turn(one, 'mouth_corner_left', 0.4)
        for jaw in 5 * (0.45, 0.0):
            one.goal(jaw=jaw)
            one.run(0.15)
        one.goal(jaw=0.0, mouth_corner_left=0.3)
        one.run(2.0)
    one.close()
    return one


@row('bus lost, joints moved by hand meanwhile')
def lost() -> VirtualHead:
    """The bus comes back and finds the joints elsewhere."""
    one = head()
    one.start()
    one.goal(neck_yaw=0.8, jaw=0.4)
    one.run(0.5)
    one.fault('supply 0')
    one.run(0.5)
    turn(one, 'neck_yaw', -0.9)
    one.fault('normal')
    one.run(2.0)
    one.close()
    return one


@row('one of two buses lost in mid-motion')
def one_bus_lost() -> VirtualHead:
    """The other one goes on, the joints are moved by hand, and the bus comes back."""
    whole = sim_face()
    joints = [
        {**joint, 'bus': 'neck' if joint['name'] == 'neck_yaw' else 'face'}
        for joint in whole['joints']
    ]
    buses = {'face': {'port': 'simulated'}, 'neck': {'port': 'simulated'}}
    one = head({'buses': buses, 'joints': joints})
    one.start()
    one.goal(neck_yaw=0.8, jaw=0.4)
    one.run(0.15)
    one.fault('unplug', 'neck')
    one.run(0.4, goal_cycles=20)
    heard = one.judge.goals
    one.run(0.4, goal_cycles=20)
    if one.judge.goals - heard < 35:
        raise LookupError('the joints of the other bus do not go on')
    turn(one, 'neck_yaw', -0.4)
    one.fault('plug', 'neck')
    one.run(2.0, goal_cycles=40)
    one.close()
    return one


@row('silent sender')
def silent() -> VirtualHead:
    """Nobody speaks any more: neutral after hold_s."""
    one = head(hold_s=0.5)
    one.start()
    one.goal(neck_yaw=0.8, jaw=0.4)
    one.run(5.0)
    one.close()
    return one


@row('switched off in mid-motion, to neutral first')
def leaving() -> VirtualHead:
    """`exit: neutral_limp`."""
    one = head({'exit': 'neutral_limp'})
    one.start()
    one.goal(neck_yaw=0.8, jaw=0.4)
    one.run(0.8)
    one.close()
    return one


@row('switched off, held')
def staying() -> VirtualHead:
    """`exit: hold`: torque stays on."""
    one = head({'exit': 'hold'})
    one.start()
    one.goal(neck_yaw=0.3)
    one.run(0.6)
    one.close()
    return one


@row('switched off in mid-motion, held')
def staying_on_the_way() -> VirtualHead:
    """`exit: hold` brakes before it holds."""
    one = head({'exit': 'hold'})
    one.start()
    one.goal(neck_yaw=0.8, jaw=0.4)
    one.run(0.12)
    one.close()
    return one


@row('a joint at 62 °C')
def warm() -> VirtualHead:
    """Heat shrinks its motion."""
    one = head()
    one.servo('jaw').physics.temperature_c = 62.0
    one.servo('jaw').physics.cooling_s = 1e9
    one.start()
    one.goal(jaw=0.48)
    one.run(4.5)
    one.close()
    return one


@row('jaw stuck on its way')
def stuck() -> VirtualHead:
    """It lets go, and does not press for long when it tries again."""
    one = head()
    one.start()
    one.goal(jaw=0.48)
    one.run(0.06)
    one.fault('block 1')
    one.run(6.0)
    one.close()
    return one


@row('a slow profile left by another program')
def slow() -> VirtualHead:
    """It would move the joints otherwise than planned."""

    def prepare(one: VirtualHead) -> None:
        for servo in one.line.servos:
            servo.registers.set('profile_velocity', 20)
            servo.registers.set('profile_acceleration', 5)

    one = head(prepare=prepare)
    one.start()
    one.run(1.5, goal_cycles=40)
    one.close()
    return one


def left(register: str, value: int) -> VirtualHead:
    """Start a head one of whose servos was set otherwise: rejected, or put right before torque."""
    one = head(prepare=lambda one: one.servo('neck_yaw').registers.set(register, value))
    try:
        one.start()
    except ServoSetupError:
        return one
    one.run(0.5, goal_cycles=20)
    one.close()
    return one


for _register, _value in (
    ('operating_mode', 1),
    ('drive_mode', 1),
    ('homing_offset', 300),
):
    ROWS[f'{_register} left by another program'] = partial(left, _register, _value)


@row('a mistake in a cycle, in mid-motion')
def mistaken() -> VirtualHead:
    """The planner raises what nobody expects: the joints brake, then the head is stopped."""
    one = head()
    one.start()
    one.goal(neck_yaw=-0.85)
    one.run(1.0)
    one.goal(neck_yaw=0.85, jaw=0.48)
    one.run(0.15)
    with mock.patch.object(MotionPlanner, 'plan', side_effect=ValueError('a mistake')):
        one.goal(neck_yaw=0.5)
        one.run(0.05)
    one.run(0.3)
    one.judge.told(one.now_s, 'stop')
    one.run(0.5, goal_cycles=10)
    return one


@row('gear stripped in mid-motion')
def stripped() -> VirtualHead:
    """The motor turns, the encoder does not."""
    one = head()
    one.start()
    one.goal(neck_yaw=0.8)
    one.run(0.2)
    physics = one.servo('neck_yaw').physics
    with mock.patch.multiple(physics, _move=lambda *_: None, _torque=lambda *_: 0.05):
        one.run(2.0)
    one.close()
    return one


@row('gain lowered by another program')
def soft() -> VirtualHead:
    """The joint follows so softly that it stays behind: seen, put right or left alone."""
    one = head()
    one.start()
    one.run(0.3)
    one.servo('neck_yaw').registers.set('position_p_gain', 2)
    one.goal(neck_yaw=0.8)
    one.run(2.5)
    one.close()
    return one


@row('operating mode changed by another program')
def another_mode() -> VirtualHead:
    """In velocity mode the joint turns on and on."""
    one = head()
    one.start()
    one.run(0.3)
    servo = one.servo('neck_yaw')
    for name, value in (('torque_enable', 0), ('operating_mode', 1), ('torque_enable', 1)):
        register = servo.model.registers[name]
        servo.write(register.address, bytes([value]))
    servo.registers.set('goal_velocity', 40)
    one.run(2.5)
    one.close()
    return one


@row('torque lost by itself')
def torqueless() -> VirtualHead:
    """A servo restarts: found, taken in again from where it is."""
    one = head()
    one.start()
    one.run(0.5, goal_cycles=30)
    one.servo('neck_yaw').registers.set('torque_enable', 0)
    one.run(3.0, goal_cycles=30, extreme=1.0)
    one.close()
    return one


def judge(function: Row) -> tuple[list[Verdict], str]:
    """Run a situation; returns the verdicts and, if the head gave up, why."""
    try:
        one = function()
    except (KfImitationError, ArithmeticError, LookupError, ValueError) as error:
        return [], f'{type(error).__name__}: {error}'
    return one.judge.end(one.now_s), ''


def main(arguments: list[str] | None = None) -> int:
    """Run situations; exit code 1 when anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('only', nargs='?', default='', help='rows whose name contains this')
    parser.add_argument('--json', action='store_true', help='by row: kinds, and the first of each')
    args = parser.parse_args(arguments)
    logging.getLogger('kf_imitation').setLevel(logging.CRITICAL)  # one row makes a mistake
    found: dict[str, dict[str, str]] = {}
    for name, function in ROWS.items():
        if args.only not in name:
            continue
        verdicts, failure = judge(function)
        found[name] = {one.kind: f'{one.joint} {one.kind}: {one.seen}' for one in verdicts[::-1]}
        if failure:
            found[name]['ends'] = failure
        if not args.json:
            print(f'{name}: {failure or (f"{len(verdicts)} verdicts" if verdicts else "good")}')
            for verdict in verdicts:
                print(f'    {verdict}', flush=True)
    if args.json:
        print(json.dumps(found))
    return 1 if any(found.values()) else 0


if __name__ == '__main__':
    sys.exit(main())
