"""Commissioning and doctor on a head with two buses: what is on the wrong one, twice, or gone."""

import argparse
import contextlib

import pytest
import yaml

from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.cli.servo import add_arguments, run
from kf_imitation.doctor.finding import ERROR, OK, WARN
from kf_imitation.doctor.servos import check_servos
from kf_imitation.errors import PortError, ServoSetupError
from kf_imitation.head.commissioning import record_path
from kf_imitation.head.simulator_process import part_of, simulated_servos
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot, parse_robot

PLACES = {'jaw': 'mouth', 'eyelid_left': 'eyes'}


class Head:
    """A robot file whose two buses are pseudo-terminals with one servo each."""

    def __init__(self, path, ports):
        self.path = path
        self.ports = ports
        self.servos = {name: port.line.servos[0] for name, port in ports.items()}

    @property
    def robot(self):
        return load_robot(str(self.path))

    def swap(self):
        """Exchange the cables."""
        first, second = (port.line for port in self.ports.values())
        first.servos, second.servos = second.servos, first.servos

    def findings(self):
        return {f.subject: f for f in check_servos(self.robot, self.robot.port)}

    def commission(self):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        return run(parser.parse_args(['commission', '--robot', str(self.path), '--yes']))


@pytest.fixture
def head(tmp_path):
    source = share_path('config/robots/sim_face.yaml').read_text('utf-8')
    document = yaml.safe_load(source)
    joints = [{**j, 'bus': PLACES[j['name']]} for j in document['joints'] if j['name'] in PLACES]
    del document['port'], document['baud']
    document |= {'urdf': '', 'joints': joints, 'coupled_limits': []}
    buses = {name: {'port': 'simulated'} for name in PLACES.values()}
    robot = parse_robot(document | {'buses': buses}, 'two.yaml')
    with contextlib.ExitStack() as ends:
        ports = {
            name: ends.enter_context(
                SimulatedPort(
                    SimulatedBus(simulated_servos(part_of(robot, name))), PseudoTerminal()
                )
            )
            for name in buses
        }
        for port in ports.values():
            servo = port.line.servos[0]
            servo.registers.reset(eeprom=True, keep=('id', 'baud_rate', 'model_number'))
            servo.registers.set('model_information', 0)  # as a real one
        path = tmp_path / 'two.yaml'
        document['buses'] = {name: {'port': port.device} for name, port in ports.items()}
        path.write_text(yaml.safe_dump(document), encoding='utf-8')
        yield Head(path, ports)


def settled(head):
    return record_path(head.robot).exists() or any(
        servo.registers.get('operating_mode') == 5 for servo in head.servos.values()
    )


def test_a_head_with_two_buses_is_commissioned_as_one(head):
    assert head.commission() == 0
    record = record_path(head.robot).read_text('utf-8')
    assert all(name in record for name in PLACES)
    assert not any(servo.torque for servo in head.servos.values())
    levels = {found.level for found in head.findings().values()}
    assert ERROR not in levels


def test_nothing_is_commissioned_while_the_cables_are_swapped(head):
    head.swap()
    with pytest.raises(ServoSetupError, match='does not reply on bus mouth, but on bus eyes'):
        head.commission()
    assert not settled(head)


def test_nothing_is_commissioned_without_one_of_the_buses(head):
    head.ports['eyes'].unplug()
    with pytest.raises(PortError, match=r'bus eyes: .*(gone|does not exist)'):
        head.commission()
    head.ports['eyes'].plug()
    assert not settled(head)


def test_the_doctor_says_that_cables_are_swapped(head):
    # It asked each servo on its own bus and said: answers a ping but no read.
    head.swap()
    jaw = head.findings()[f'servo {head.robot.joints[0].id} (jaw)']
    assert jaw.level == ERROR
    assert 'answers on bus eyes, the robot file says bus mouth' in jaw.sentence


def test_the_doctor_takes_no_servo_of_another_bus_with_the_same_id_for_the_joint_s(head):
    # The one heard last counted, so a good joint was said to be of another model.
    stranger = head.servos['eyes']
    id_ = head.robot.joints[0].id
    twin = type(stranger)(load_robot('face25').joints[-1].servo, id_, 2048, stranger.baud)
    head.ports['eyes'].line.servos.append(twin)
    findings = head.findings()
    assert 'is not commissioned' in findings[f'servo {id_} (jaw)'].sentence
    assert findings[f'servo {id_}'].level == WARN
    assert 'answers on bus eyes, where no joint has it' in findings[f'servo {id_}'].sentence


def test_the_doctor_names_the_bus_that_is_gone(head):
    head.ports['eyes'].unplug()
    findings = head.findings()
    head.ports['eyes'].plug()
    assert any(f.level == ERROR and 'bus eyes:' in f.sentence for f in findings.values())
    assert findings['bus time'].level == OK
