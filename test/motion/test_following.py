"""The model that supervision has of a servo, with the figures of its selftest and without."""

from dataclasses import replace

import numpy as np
import pytest

from kf_imitation.motion.following import FollowingMonitor, ServoMotion
from kf_imitation.motion.joint_states import JointMeasurement
from kf_imitation.robot import Measured, load_robot

ROBOT = load_robot('sim_face')
JOINT = ROBOT.joints[ROBOT.names.index('neck_yaw')]
TABLE = ServoMotion.of(JOINT)


def measured(**figures):
    return replace(JOINT, measured=Measured(**figures))


def alarms(joint, stays_back_rad, current_a):
    """What is told of a joint that rests so far from its goal and pushes with that current."""
    monitor = FollowingMonitor(replace(ROBOT, joints=(joint,), coupled_limits=()))
    present = JointMeasurement.zeros(1)
    present.current_a[:] = current_a
    found = []
    for cycle in range(60):  # from where it was told to be, slowly
        present.position_rad[:] = -stays_back_rad * min(1.0, cycle / 30)
        found += monitor.update(0.01 * cycle, np.zeros(1), present, np.full(1, 2.0), [0])
    return found


def test_a_servo_that_the_selftest_found_slow_is_not_expected_to_be_faster():
    slow = ServoMotion.of(measured(speed_rad_s=1.0))
    assert slow.slow_rad_s == pytest.approx(0.9)
    assert ServoMotion.of(measured(speed_rad_s=100.0)) == TABLE


def test_a_selftest_never_makes_the_bounds_narrower_than_those_of_the_table():
    quick = ServoMotion.of(measured(delay_s=0.0, speed_rad_s=100.0, yield_rad_a=0.0))
    assert quick == TABLE


def test_a_joint_that_yields_as_the_selftest_found_is_well_and_a_stiff_one_is_not():
    assert alarms(JOINT, 0.15, 0.4)
    assert not alarms(measured(yield_rad_a=0.3), 0.15, 0.4)
    assert alarms(measured(yield_rad_a=0.3), 0.15, 0.0)  # no load explains it
