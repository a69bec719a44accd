"""Lifecycle of the servo node: configure opens the port, activate takes torque."""

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.actuators.dynamixel.simulator.faults import apply_fault
from kf_imitation.errors import PortError
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
