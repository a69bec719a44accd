"""The servo node as others see it: services, trajectories, states, diagnostics, `port: none`."""

import math
import os
import signal
import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import JointState
from servo_talk import angle, expression, shown
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from kf_imitation.actuators.dynamixel.simulator.faults import apply_fault
from kf_imitation.nodes import qos
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')


def torques(port):
    with port.lock:
        return {servo.torque for servo in port.line.servos}


def trigger(listener, name):
    return listener.call(Trigger, f'/servo/{name}', Trigger.Request())


def torque(listener, on):
    return listener.call(SetBool, '/servo/torque', SetBool.Request(data=on))


def change_state(listener, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return listener.call(ChangeState, '/servo/change_state', request).success


def trajectory(names, *points):
    message = JointTrajectory(joint_names=list(names))
    for time_s, positions in points:
        whole, rest = divmod(round(time_s * 1e9), 1_000_000_000)
        message.points.append(
            JointTrajectoryPoint(
                positions=list(positions), time_from_start=Duration(sec=whole, nanosec=rest)
            )
        )
    return message


def test_the_services_answer_when_the_servos_have_confirmed(servo_node, listener, port):
    servo_node(port=port.device, hold_s=3600.0)
    states = listener.listen(JointState, 'joint_states')
    listener.wait_for(lambda: len(states) > 5)
    assert trigger(listener, 'clear_error').message.endswith('no servo has a hardware error')
    off = torque(listener, False)
    assert off.success and 'every servo confirmed' in off.message
    assert torques(port) == {False}
    neutral = trigger(listener, 'neutral')
    assert not neutral.success and 'reset first' in neutral.message
    assert torque(listener, True).success
    assert torques(port) == {True}
    apply_fault('heat 1 75', port)
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    listener.wait_for(lambda: reports and 'jaw: hardware error' in reports[-1].status[0].message)
    hot = trigger(listener, 'clear_error')
    assert not hot.success and 'let it cool' in hot.message
    apply_fault('heat 1 30', port)
    cool = trigger(listener, 'clear_error')
    assert cool.success and 'jaw: overheating cleared' in cool.message
    apply_fault('overload 10', port)
    listener.wait_for(lambda: 'neck_yaw: hardware error' in reports[-1].status[0].message)
    assert trigger(listener, 'reboot').success
    assert torques(port) == {True}
    assert trigger(listener, 'neutral').success
    assert trigger(listener, 'stop').success
    assert torques(port) == {False}


def test_a_stop_outlives_the_lifecycle(servo_node, listener, port):
    servo_node(port=port.device, autostart=False)
    assert not torque(listener, True).success  # not configured
    assert change_state(listener, Transition.TRANSITION_CONFIGURE)
    rejected = trigger(listener, 'reboot')
    assert not rejected.success and 'not active' in rejected.message
    assert change_state(listener, Transition.TRANSITION_ACTIVATE)
    assert torques(port) == {True}
    assert trigger(listener, 'stop').success
    for transition in ('DEACTIVATE', 'CLEANUP', 'CONFIGURE', 'ACTIVATE'):
        assert change_state(listener, getattr(Transition, f'TRANSITION_{transition}'))
    assert torques(port) == {False}
    assert trigger(listener, 'reset').success
    assert torques(port) == {True}


def test_trajectories_are_followed_and_faulty_commands_are_rejected_with_a_diagnostic(
    servo_node, listener, port
):
    servo_node(port=port.device, hold_s=3600.0)
    states = listener.listen(JointState, 'joint_states')
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    scripts = listener.node.create_publisher(JointTrajectory, 'servo/joint_trajectory', 10)
    faces = listener.node.create_publisher(JointState, 'face/expression', 10)
    listener.wait_for(lambda: scripts.get_subscription_count() and len(states) > 5)
    assert set(states[-1].name) == set(ROBOT.names)
    assert len(states[-1].effort) == len(states[-1].velocity) == len(ROBOT.joints)
    # It stays for a while: a busy machine may not hear of every moment.
    turn = trajectory(['neck_yaw'], (0.5, [0.5]), (4.0, [0.5]), (4.5, [0.3]))
    yaw = ROBOT.names.index('neck_yaw')
    farthest = lambda: max(state.position[yaw] for state in states)  # noqa: E731
    listener.wait_for(lambda: farthest() > 0.05, send=lambda: scripts.publish(turn))
    listener.wait_for(lambda: farthest() > 0.45)
    listener.wait_for(lambda: abs(angle(states, 'neck_yaw') - 0.3) < 0.02)
    assert any(abs(state.effort[yaw]) > 0.005 for state in states)
    assert abs(angle(states, 'jaw')) < 0.02

    def told(words):
        return any(words in report.status[0].message for report in reports)

    for words, message, publisher in (
        ('nose is not a joint', trajectory(['nose'], (1.0, [0.1])), scripts),
        ('must be a finite number', trajectory(['jaw'], (1.0, [math.nan])), scripts),
        ('must grow', trajectory(['jaw'], (1.0, [0.1]), (0.5, [0.2])), scripts),
        ('jaw_open = nan', expression(listener, jaw_open=math.nan), faces),
        ('at most 5 s (command_age_s)', expression(listener, age_s=7.2, jaw_open=1.0), faces),
        (
            'jaw_opn is neither a channel nor a blendshape',
            expression(listener, jaw_opn=1.0),
            faces,
        ),
    ):
        publisher.publish(message)
        listener.wait_for(lambda words=words: told(words))
    assert abs(angle(states, 'neck_yaw') - 0.3) < 0.02
    assert abs(angle(states, 'jaw')) < 0.02
    values = {pair.key: pair.value for pair in reports[-1].status[0].values}
    assert values['rejected commands'] == '6'


def test_diagnostics_come_once_a_second_with_heat_voltage_rate_and_errors(
    servo_node, listener, port
):
    servo_node(port=port.device)
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    listener.wait_for(lambda: len(reports) >= 4)
    stamps = [r.header.stamp.sec + r.header.stamp.nanosec * 1e-9 for r in reports]
    assert (stamps[-1] - stamps[0]) / (len(stamps) - 1) == pytest.approx(1.0, abs=0.5)

    def values():
        return {pair.key: pair.value for pair in reports[-1].status[0].values}

    listener.wait_for(lambda: all('?' not in values()[name] for name in ROBOT.names))
    for name in ROBOT.names:
        heat, volts, error = values()[name].split(', ')
        assert error == 'no error'
        assert heat.endswith(' °C') and 15 < float(heat.split()[0]) < 60
        assert volts.endswith(' V') and 3 < float(volts.split()[0]) < 15
    assert float(values()['rate'].split()[0]) > 1
    for name in ('jitter p99', 'overruns', 'failed exchanges', 'outages', 'stalls'):
        assert name in values()
    assert reports[-1].status[0].level == b'\x00'
    assert reports[-1].status[0].message == 'at rest in neutral'
    apply_fault('dead 10', port)
    listener.wait_for(lambda: 'neck_yaw: does not reply' in reports[-1].status[0].message)
    assert reports[-1].status[0].level == b'\x02'
    assert values()['neck_yaw'].endswith('does not reply')


def test_a_killed_motor_process_is_an_error_in_diagnostics_and_the_head_runs_again(
    servo_node, listener, port
):
    servo_node(port=port.device, hold_s=3600.0)
    reports = listener.listen(DiagnosticArray, '/diagnostics')

    def values():
        return {pair.key: pair.value for pair in reports[-1].status[0].values}

    listener.wait_for(lambda: reports and 'motor process' in values())
    os.kill(int(values()['motor process']), signal.SIGKILL)
    listener.wait_for(lambda: 'killed by signal 9' in reports[-1].status[0].message)
    assert reports[-1].status[0].level == b'\x02'
    listener.wait_for(lambda: values()['motor restarts'] == '1')
    listener.wait_for(lambda: reports[-1].status[0].message == 'at rest in neutral')
    assert torques(port) == {True}


def test_a_node_that_cannot_leave_the_head_by_its_exit_policy_ends_with_an_error(
    servo_node, listener, port, interrupt
):
    process = servo_node(port=port.device)
    listener.wait_for(lambda: torques(port) == {True})
    port.unplug()
    _, err = interrupt(process)
    assert process.returncode == 2
    assert 'not left as its exit policy says' in err
    assert 'kf_imitation servo off --robot' in err


def test_a_trajectory_that_waited_while_the_node_stood_still_is_rejected(
    servo_node, listener, port
):
    node = servo_node(port=port.device, hold_s=3600.0, command_age_s=1.0)
    states = listener.listen(JointState, 'joint_states')
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    scripts = listener.node.create_publisher(JointTrajectory, 'servo/joint_trajectory', 10)
    listener.wait_for(lambda: scripts.get_subscription_count() and len(states) > 5)
    node.send_signal(signal.SIGSTOP)
    stopped_s = time.monotonic()
    scripts.publish(trajectory(['neck_yaw'], (1.0, [0.5])))
    listener.wait_for(lambda: time.monotonic() > stopped_s + 1.5)
    node.send_signal(signal.SIGCONT)
    listener.wait_for(lambda: any('s ago, at most 1 s' in r.status[0].message for r in reports))
    assert abs(angle(states, 'neck_yaw')) < 0.02


def test_a_reflex_closes_the_lids_and_goals_open_them_again(servo_node, listener):
    servo_node(hold_s=3600.0)
    states = listener.listen(JointState, 'joint_states')
    reflexes = listener.node.create_publisher(JointState, 'face/reflex', 10)
    listener.wait_for(lambda: reflexes.get_subscription_count() and states)
    both = {'eye_close_left': 1.0, 'eye_close_right': 1.0}

    lid, jaw = ROBOT.names.index('eyelid_left'), ROBOT.names.index('jaw')

    def shut():
        # At any time: a busy machine may send the next reflex after this one has ended.
        reflexes.publish(expression(listener, **both))
        return min(state.position[lid] for state in states) < -0.5

    listener.wait_for(shut)
    assert max(abs(state.position[jaw]) for state in states) < 0.02
    # The goal is still neutral: when no more reflexes come, the lids open again.
    listener.wait_for(lambda: angle(states, 'eyelid_left') > -0.05)


def test_the_authority_over_each_joint_is_reported_at_every_change(servo_node, listener, port):
    servo_node(port=port.device, hold_s=3600.0)
    told = listener.listen(DiagnosticStatus, 'servo/authority', qos.latched())
    scripts = listener.node.create_publisher(JointTrajectory, 'servo/joint_trajectory', 10)
    faces = listener.node.create_publisher(JointState, 'face/expression', 10)
    listener.wait_for(lambda: told and told[-1].message == 'neutral')
    assert {pair.key for pair in told[-1].values} == set(ROBOT.names)
    listener.wait_for(lambda: faces.get_subscription_count() and scripts.get_subscription_count())
    faces.publish(expression(listener, jaw_open=0.5))
    listener.wait_for(lambda: told[-1].message.startswith('face'))
    scripts.publish(trajectory(['neck_yaw'], (2.0, [0.5]), (4.0, [0.0])))
    listener.wait_for(lambda: told[-1].message.startswith('trajectory'))
    assert 'neck_yaw; face' in told[-1].message and told[-1].message.endswith(': all others')
    assert trigger(listener, 'stop').success
    listener.wait_for(lambda: told[-1].message == 'stop')


def test_port_none_publishes_goals_and_no_imagined_states(servo_node, listener, interrupt):
    process = servo_node(port='none', hold_s=3600.0)
    goals = listener.listen(JointTrajectory, 'joint_trajectory_controller/joint_trajectory')
    states = listener.node.create_publisher(JointState, 'joint_states', 10)
    faces = listener.node.create_publisher(JointState, 'face/expression', 10)
    listener.wait_for(lambda: states.get_subscription_count() and faces.get_subscription_count())
    start = JointState(name=list(ROBOT.names), position=[0.0] * len(ROBOT.names))
    listener.wait_for(lambda: states.publish(start) or goals)
    jaw = ROBOT.names.index('jaw')
    assert list(goals[0].joint_names) == list(ROBOT.names)
    assert (goals[0].header.stamp.sec, goals[0].header.stamp.nanosec) == (0, 0)
    faces.publish(expression(listener, jaw_open=1.0))
    full = shown(ROBOT, 'jaw', 'jaw_open', 1.0)
    listener.wait_for(lambda: abs(goals[-1].points[-1].positions[jaw] - full) < 1e-3)
    assert not any(goals[-1].points[-1].velocities)
    assert listener.node.count_publishers('joint_states') == 1  # the test's own
    assert listener.node.count_publishers('servo/joint_commands') == 0
    rejected = torque(listener, False)
    assert not rejected.success and 'driver of the head' in rejected.message
    assert trigger(listener, 'stop').success
    _, err = interrupt(process)
    assert process.returncode == 0, err


def test_a_terminal_without_ros2_stops_and_resets_a_head(start, servo_node, listener, port):
    servo_node(port=port.device)
    listener.wait_for(lambda: torques(port) == {True})
    for action, said, on in (
        ('stop', 'stop: stopped', False),
        ('reset', 'reset: runs again', True),
        ('reset', 'reset: was not stopped, and goes on', True),
    ):
        asking = start('servo', action)
        out, err = asking.communicate(timeout=100)
        assert out.startswith(said) and asking.returncode == 0, (out, err)
        assert torques(port) == {on}


def test_a_head_stopped_before_names_the_command_that_resets_it(
    start, servo_node, listener, port, interrupt
):
    first = servo_node(port=port.device)
    listener.wait_for(lambda: torques(port) == {True})
    start('servo', 'stop').communicate(timeout=100)
    interrupt(first)
    second = servo_node(port=port.device)
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    listener.wait_for(lambda: bool(reports))
    _, err = interrupt(second)
    assert 'not reset yet' in err and 'kf_imitation servo reset' in err


def test_a_reset_that_nobody_hears_says_so_and_where_a_head_is(start, servo_node, listener):
    asking = start('servo', 'reset')
    _, err = asking.communicate(timeout=100)
    assert asking.returncode == 2 and 'no servo node answers as /servo within' in err
    states = listener.listen(JointState, 'joint_states')
    servo_node()
    listener.wait_for(lambda: bool(states))
    asking = start('servo', 'stop', '--namespace', 'other')
    _, err = asking.communicate(timeout=100)
    assert asking.returncode == 2 and 'as /other/servo within 10 s; one runs in / (' in err
