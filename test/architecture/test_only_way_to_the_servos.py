"""Nothing bypasses the safety limiter: read from the syntax tree, then tried with broken planners.

A goal reaches a servo in two ways only: ServoGroup.torque_on() sets it to the present position,
and the cycle writes what SafetyLimiter commands.
"""

import ast
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK, position_rad
from kf_imitation.head.controller import ServoController
from kf_imitation.head.register_patrol import SAFE
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.motion.planner import MotionPlanner
from kf_imitation.robot import load_robot

PACKAGE = Path(__file__).resolve().parents[2] / 'kf_imitation'
SERVOS = ('actuators/dynamixel/simulator/', 'actuators/dynamixel/control_tables.py')
GOALS = {'goal_position', 'goal_velocity', 'goal_current', 'goal_pwm'}


@cache
def trees():
    names = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob('*.py')}
    return [
        (name, ast.parse(path.read_text(encoding='utf-8')))
        for name, path in sorted(names.items())
        if not name.startswith(SERVOS)
    ]


def calls(method):
    """Return (file, arguments as source) of every call of a method of that name."""
    return [
        (name, [ast.unparse(argument) for argument in node.args])
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
    ]


def test_goals_are_written_from_the_state_of_the_limiter_only():
    places = [(name, args[-1].removeprefix('self.')) for name, args in calls('write_goals')]
    assert set(places) == {('head/control_cycle.py', 'motion.limiter.state.position')}


def test_group_writes_are_made_by_the_servo_group_only():
    passes_on = 'actuators/bus_group.py'  # what it was given, to each bus its part
    assert {name for name, _ in calls('group_write')} == {'head/servo_group.py', passes_on}


def test_goal_registers_are_named_by_the_servo_group_only():
    users = {
        name
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in GOALS
    }
    looks_only = {'robot/cycle_budget.py', 'motion/following.py'}  # counts bytes; asks for a limit
    assert users == {'head/servo_group.py', 'head/register_patrol.py', *looks_only}
    assert 'goal_position' not in SAFE  # what the patrol may write: force limits, no goals
    written = [args[1:] for name, args in calls('write_register') if "'goal" in args[1]]
    assert sorted(written) == [
        ["'goal_current'", 'goal_current_raw(joint, fraction)'],
        ["'goal_position'", 'present'],
        ["'goal_position'", 'present'],
    ]


def test_only_the_limiter_sets_its_state():
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    text = ast.unparse(target)
                    assert 'limiter.' not in text, f'{name}: {ast.unparse(node)}'


def nonsense(rng, joints):
    """Return what a broken planner may propose."""
    kind = rng.integers(4)
    if kind == 0:
        return None
    if kind == 1:
        return JointTrajectoryState(*(np.full(joints, np.nan) for _ in range(3)))
    return JointTrajectoryState(
        *(rng.normal(0.0, 10.0 ** rng.integers(-3, 3), joints) for _ in range(3))
    )


@pytest.mark.parametrize('seed', range(3))
def test_whatever_a_planner_proposes_the_wire_keeps_the_limits(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    robot = replace(load_robot('sim_face'), exit='limp')
    joints = len(robot.joints)
    real = MotionPlanner.next

    def broken(self):
        proposal = real(self)
        return nonsense(rng, joints) if rng.random() < 0.3 else proposal

    monkeypatch.setattr(MotionPlanner, 'next', broken)
    log = []
    bus = InProcessBus(simulated_servos(robot, log))
    now = [0.0]
    controller = ServoController(
        robot, bus, clock=lambda: now[0], hold_s=1e9, pause=lambda _: None
    )
    controller.start(threaded=False)
    low, high = np.array([joint.limits_rad for joint in robot.joints]).T
    for cycle in range(1, 300):
        now[0] = cycle * 0.01
        if cycle % 20 == 1:
            assert controller.set_goal(rng.uniform(low, high), cycle) == ''
        controller.step(now[0])
    controller.close()
    assert controller.statistics().rejected_proposals > 20
    for joint in robot.joints:
        ticks = [r.value for r in log if r.id == joint.id and r.register == 'goal_position']
        path = position_rad(np.array(ticks, float), joint.zero_tick, joint.direction)
        assert len(path) > 250
        assert path.min() >= joint.limits_rad[0] - RAD_PER_TICK
        assert path.max() <= joint.limits_rad[1] + RAD_PER_TICK
        assert np.abs(np.diff(path)).max() <= joint.max_velocity_rad_s * 0.01 + RAD_PER_TICK
