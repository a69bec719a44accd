"""With real keys made from config/sros2_policy.xml: who has none can neither move nor stop a head.

Needs a Fast DDS with security and the package sros2, as ROS 2 from apt has them; the wheels have
neither. The judge is the simulated head itself, on a pseudo-terminal of this process.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')
pytest.importorskip('sros2', reason='sros2 is not installed, which makes the keys')

from sros2.api._artifact_generation import generate_artifacts

from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')
OPERATOR = Path(__file__).with_name('keyed_operator.py')
WITHOUT_SECURITY = "This Fast DDS version doesn't have the security libraries"
NECK = ROBOT.names.index('neck_yaw')
MOVE = ('move', 'neck_yaw', '0.5')


@pytest.fixture
def keys(tmp_path, environment):
    """Environments of a terminal by whose keys it has: the nodes', an operator's, nobody's."""
    keystore = tmp_path / 'keys'
    generate_artifacts(keystore, ['/stranger'], [share_path('config/sros2_policy.xml')])
    secure = {
        'ROS_SECURITY_KEYSTORE': str(keystore),
        'ROS_SECURITY_ENABLE': 'true',
        'ROS_SECURITY_STRATEGY': 'Enforce',
    }

    def of(enclave):
        return environment | secure | {'ROS_SECURITY_ENCLAVE_OVERRIDE': enclave}

    who = {
        'nodes': of('/kf_imitation'),
        'operator': of('/kf_imitation/operator'),
        'stranger': of('/stranger'),
        'keyless': dict(environment),
    }
    probe = [sys.executable, str(OPERATOR), 'operator', 'stop']
    done = run(probe, who['operator'])
    if WITHOUT_SECURITY in done.stderr:
        pytest.skip('this Fast DDS is built without security')
    environment.update(who['nodes'])  # of the node that is started
    return who


@pytest.fixture
def head(keys, servo_node, listener, port):
    """The port of a head whose node has keys."""
    servo_node(port=port.device, hold_s=3600.0)
    listener.wait_for(lambda: torques(port) == {True}, what='torque')
    return port


def run(command, environment):
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def ask(environment, name, *command):
    """Let somebody try; returns what came of it."""
    done = run([sys.executable, str(OPERATOR), name, *command], environment)
    return done.stdout.strip() or done.stderr


def neck(port):
    with port.lock:
        joint, servo = ROBOT.joints[NECK], port.line.servos[NECK]
        return joint.direction * (servo.physics.angle_rad - joint.zero_tick * RAD_PER_TICK)


def torques(port):
    with port.lock:
        return {servo.torque for servo in port.line.servos}


def test_an_operator_with_keys_moves_and_stops_the_head(head, keys, listener):
    assert ask(keys['operator'], 'operator', *MOVE) == 'sent'
    listener.wait_for(lambda: abs(neck(head) - 0.5) < 0.02, what='the neck')
    assert 'every servo confirmed' in ask(keys['operator'], 'operator', 'stop')
    assert torques(head) == {False}


@pytest.mark.parametrize('who', ['keyless', 'stranger'])
def test_nobody_else_does(who, head, keys):
    moved, stopped = ask(keys[who], 'operator', *MOVE), ask(keys[who], 'operator', 'stop')
    assert 'sent' not in moved and 'confirmed' not in stopped
    assert abs(neck(head)) < 0.02
    assert torques(head) == {True}


def test_an_operator_sends_no_faces(head, keys):
    """A name that the file does not give it: the node cannot even be made to publish."""
    program = (
        'import rclpy; from std_msgs.msg import String; rclpy.init(); '
        "node = rclpy.create_node('operator'); "
        "node.create_publisher(String, '/face/expression', 1); print('may')"
    )
    done = run([sys.executable, '-c', program], keys['operator'])
    assert 'may' not in done.stdout and 'denied' in done.stderr.lower()
