"""Two programs that command one head, and two heads that hear one program."""

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState
from servo_talk import angle, expression, shown

from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')


def said(reports, words):
    return any(words in report.status[0].message for report in reports)


def test_the_second_who_sends_is_reported_and_moves_nothing_until_the_first_is_gone(
    servo_node, listener, port
):
    half_open = shown(ROBOT, 'jaw', 'jaw_open', 0.5)
    servo_node(port=port.device, hold_s=3600.0)
    states = listener.listen(JointState, 'joint_states')
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    first = listener.node.create_publisher(JointState, 'face/expression', 10)
    second = listener.node.create_publisher(JointState, 'face/expression', 10)
    listener.wait_for(lambda: first.get_subscription_count() and second.get_subscription_count())
    listener.wait_for(
        lambda: angle(states, 'jaw') == pytest.approx(half_open, abs=0.02),
        send=lambda: first.publish(expression(listener, jaw_open=0.5)),
    )
    # Sent again: on a busy machine one may come too late, or before its sender is known by name.
    listener.wait_for(
        lambda: said(reports, 'is sent by two nodes /test_listener, of'),
        send=lambda: second.publish(expression(listener, jaw_open=1.0)),
    )
    assert angle(states, 'jaw') == pytest.approx(half_open, abs=0.02)
    listener.node.destroy_publisher(first)
    listener.wait_for(lambda: listener.node.count_publishers('face/expression') == 1)

    def follows():
        second.publish(expression(listener, jaw_open=1.0))
        return angle(states, 'jaw') > 0.4

    listener.wait_for(follows)


def test_of_two_servo_nodes_of_one_name_the_second_is_reported_and_its_head_rests(
    servo_node, listener, port
):
    servo_node(port=port.device, hold_s=3600.0)
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    listener.wait_for(lambda: said(reports, 'at rest in neutral'))
    with SimulatedPort(SimulatedBus(simulated_servos(ROBOT)), PseudoTerminal()) as other:
        servo_node(port=other.device, hold_s=3600.0)
        faces = listener.node.create_publisher(JointState, 'face/expression', 10)
        listener.wait_for(lambda: faces.get_subscription_count() == 2)
        reports.clear()

        brow = ROBOT.names.index('brow_left')
        neutral = simulated_servos(ROBOT)[brow].physics.angle_rad

        def way(line):
            return abs(line.line.servos[brow].physics.angle_rad - neutral)

        def told():
            faces.publish(expression(listener, brow_raise_left=1.0))
            return said(reports, '/servo also runs as process') and way(port) > 0.1

        listener.wait_for(told)
        listener.wait_for(lambda: way(other) < 0.02)
        reports.clear()
        listener.wait_for(told)
        assert way(other) < 0.02


def test_a_stop_from_a_terminal_reaches_both_of_two_heads_of_one_name_and_says_so(
    servo_node, start, port, listener
):
    # It stopped one of them, at random, and said that every servo had confirmed it.
    servo_node(port=port.device)
    listener.wait_for(lambda: on(port))
    with SimulatedPort(SimulatedBus(simulated_servos(ROBOT)), PseudoTerminal()) as other:
        servo_node(port=other.device)
        listener.wait_for(lambda: on(other))
        stopped = start('servo', 'stop')
        _, err = stopped.communicate(timeout=100)
        assert stopped.returncode == 2
        assert '2 servo nodes answer as /servo, and all were asked to stop' in err
        listener.wait_for(lambda: not any(on(line) for line in (port, other)))
        reset = start('servo', 'reset')
        _, err = reset.communicate(timeout=100)
        assert reset.returncode == 2 and 'which is meant?' in err
        assert not any(on(line) for line in (port, other))


def on(line):
    return any(servo.registers.get('torque_enable') for servo in line.line.servos)
