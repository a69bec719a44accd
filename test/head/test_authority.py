"""Who may move each joint now."""

import numpy as np
from virtual_head import JAW, ROBOT, YAW, VirtualHead

from kf_imitation.head.authority import FACE, NEUTRAL, NOBODY, REFLEX, STOP, TRAJECTORY
from kf_imitation.head.gateway_head import GatewayHead
from kf_imitation.motion.waypoints import TrajectoryPoint

TURN = [TrajectoryPoint(0.5, (0.3,)), TrajectoryPoint(1.0, (0.0,))]


def test_a_face_has_the_head_until_it_is_gone():
    head = VirtualHead(hold_s=0.5)
    assert set(head.controller.owners()) == {NEUTRAL}
    head.go(jaw=0.2)
    head.run(0.1)
    assert set(head.controller.owners()) == {FACE}
    head.run(1.0)
    assert set(head.controller.owners()) == {NEUTRAL}


def test_a_trajectory_has_its_joints_before_a_face_and_gives_them_back():
    head = VirtualHead()
    head.go(jaw=0.2)
    assert head.controller.set_trajectory(['neck_yaw'], TURN) == ''
    head.run(0.1)
    owners = head.controller.owners()
    assert (owners[YAW], owners[JAW]) == (TRAJECTORY, FACE)
    head.go(jaw=0.1, neck_yaw=-0.3)
    head.run(0.1)
    assert head.controller.owners()[YAW] == TRAJECTORY
    head.run(1.0)
    assert set(head.controller.owners()) == {FACE}


def test_a_reflex_has_its_joints_for_a_moment_unless_a_trajectory_has_them():
    head = VirtualHead()
    joints = ROBOT.reflex_joints
    assert JAW in joints and YAW not in joints
    assert head.controller.set_trajectory(['jaw'], TURN) == ''
    head.run(0.1)
    assert head.controller.set_reflex(joints, ROBOT.neutral_rad[joints], 1) == ''
    owners = head.controller.owners()
    assert owners[JAW] == TRAJECTORY and owners[YAW] == NEUTRAL
    assert {owners[i] for i in joints.tolist() if i != JAW} == {REFLEX}
    head.run(0.5)
    assert REFLEX not in head.controller.owners()


def test_a_stop_has_all_joints_until_a_reset():
    head = VirtualHead()
    assert head.controller.set_trajectory(['neck_yaw'], TURN) == ''
    head.run(0.1)
    head.controller.stop()
    assert set(head.controller.owners()) == {STOP}
    head.run(0.2)
    assert set(head.controller.owners()) == {STOP}
    head.controller.reset()
    head.run(0.5)
    assert set(head.controller.owners()) == {NEUTRAL}


def test_a_joint_out_of_service_belongs_to_nobody():
    head = VirtualHead()
    head.go(jaw=0.2)
    head.servos[JAW].dead = True
    head.run(1.0)
    owners = head.controller.owners()
    assert (owners[JAW], owners[YAW]) == (NOBODY, FACE)
    head.controller.close()
    assert set(head.controller.owners()) == {NOBODY}


def test_a_head_with_another_driver_has_owners_too():
    head = GatewayHead(ROBOT)
    assert set(head.owners()) == {NOBODY}
    head.start()
    assert set(head.owners()) == {NOBODY}  # where the joints are is not known
    head.measured(dict.fromkeys(ROBOT.names, 0.0))
    head.tick()
    assert set(head.owners()) == {NEUTRAL}
    assert head.set_goal(np.full(len(ROBOT.names), 0.01), 1) == ''
    assert set(head.owners()) == {FACE}
    head.stop()
    assert set(head.owners()) == {STOP}
