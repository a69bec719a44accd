"""Lifecycle of the servo node: configure opens the port, activate takes torque."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_srvs.srv import Trigger

from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.actuators.dynamixel.simulator.faults import apply_fault
from kf_imitation.errors import PortError
from kf_imitation.head.stop_record import StopRecord
from kf_imitation.robot import load_robot

ROBOT = load_robot('xl330_face')


@pytest.fixture
def change(servo_node, listener, port):
    """Start a node on the port; returns what asks for a transition and tells whether it went."""
    servo_node(robot='xl330_face', port=port.device, autostart=False, exit='limp')

    def ask(name):
        transition = Transition(id=getattr(Transition, f'TRANSITION_{name}'))
        request = ChangeState.Request(transition=transition)
        return listener.call(ChangeState, '/servo/change_state', request).success

    return ask


def taken(port):
    """Whether another program would be refused the port."""
    other = DynamixelBus(port.device, ROBOT.baud)
    try:
        other.open()
    except PortError as error:
        assert 'in use' in str(error)
        return True
    other.close()
    return False


def torques(port):
    with port.lock:
        return {servo.torque for servo in port.line.servos}


def test_configure_opens_activate_enables_and_cleanup_releases(change, port):
    assert not taken(port)
    assert change('CONFIGURE')
    assert taken(port) and torques(port) == {False}
    assert change('ACTIVATE')
    assert torques(port) == {True}
    assert change('DEACTIVATE')
    assert taken(port) and torques(port) == {False}
    assert change('ACTIVATE')
    assert torques(port) == {True}
    assert change('DEACTIVATE')
    assert change('CLEANUP')
    assert not taken(port)


def test_a_missing_servo_is_reported_at_configure_and_the_port_is_released(change, port):
    apply_fault('dead 3', port)
    assert not change('CONFIGURE')
    assert not taken(port)
    apply_fault('normal', port)
    assert change('CONFIGURE')
    assert taken(port)


def test_a_port_that_came_back_meanwhile_is_opened_again_by_activate(change, port):
    assert change('CONFIGURE')
    port.unplug()
    assert not change('ACTIVATE')
    port.plug()
    assert change('ACTIVATE')
    assert torques(port) == {True}


def reports_of(listener, words):
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    listener.wait_for(lambda: reports and words in reports[-1].status[0].message)


@pytest.mark.parametrize('comes_back', [False, True])
def test_a_head_of_which_no_joint_could_ever_move_does_not_end_as_success(
    servo_node, listener, port, interrupt, comes_back
):
    """Stopped before, and reset while every servo was too hot: it ended with exit code 0."""
    StopRecord(ROBOT).write('stopped by a command')
    for joint in ROBOT.joints:
        apply_fault(f'heat {joint.id} 75', port)
    process = servo_node(robot='xl330_face', port=port.device, exit='limp')
    assert not listener.call(Trigger, '/servo/reset', Trigger.Request()).success
    reports_of(listener, 'no joint can move')
    for joint in ROBOT.joints:
        apply_fault(f'heat {joint.id} 30', port)
    if comes_back:
        assert listener.call(Trigger, '/servo/reboot', Trigger.Request()).success
        reports_of(listener, 'at rest in neutral')
    _, err = interrupt(process)
    assert process.returncode == (0 if comes_back else 2), err
    assert comes_back or err.splitlines()[-1].startswith(
        'kf_imitation: the head took no part: no joint can move: '
    )


def test_neither_does_one_that_stays_stopped_from_an_earlier_run(
    servo_node, listener, port, interrupt
):
    StopRecord(ROBOT).write('stopped by a command')
    process = servo_node(robot='xl330_face', port=port.device, exit='limp')
    reports_of(listener, 'stopped')
    _, err = interrupt(process)
    assert process.returncode == 2, err
    assert 'it was stopped before and not reset' in err.splitlines()[-1]


def test_one_that_is_stopped_while_it_runs_does(servo_node, listener, port, interrupt):
    process = servo_node(robot='xl330_face', port=port.device, exit='limp')
    assert listener.call(Trigger, '/servo/stop', Trigger.Request()).success
    _, err = interrupt(process)
    assert process.returncode == 0, err
