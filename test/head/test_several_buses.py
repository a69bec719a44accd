"""A head with several buses: one cycle for all; a lost one stops what it must, no more."""

import argparse
import itertools
import re

import pytest
import serial
import yaml

from benchmark.virtual_head import VirtualHead
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.cli.servo_tools import off
from kf_imitation.errors import ConfigError, PortError, ServoSetupError
from kf_imitation.head.bus_factory import make_bus
from kf_imitation.head.reports import LOST, RUNNING
from kf_imitation.head.simulator_process import part_of, simulated_servos
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot, parse_robot

JAW, CORNER, LID, GAZE = 'jaw', 'mouth_corner_left', 'eyelid_left', 'gaze_pitch'
PLACES = {JAW: 'mouth', CORNER: 'mouth', LID: 'eyes', GAZE: 'eyes'}
SYNC_WRITE, GOAL_POSITION = 0x83, 116
SIMULATED = {'mouth': {'port': 'simulated'}, 'eyes': {'port': 'simulated'}}


def document(places=PLACES, buses=SIMULATED):
    path = share_path('config/robots/sim_face.yaml')
    whole = yaml.safe_load(path.read_text(encoding='utf-8'))
    joints = [{**j, 'bus': places[j['name']]} for j in whole['joints'] if j['name'] in places]
    del whole['port'], whole['baud']
    coupled = [c for c in whole['coupled_limits'] if set(c['terms']) <= set(places)]
    return whole | {'urdf': '', 'buses': buses, 'joints': joints, 'coupled_limits': coupled}


def robot_of(**options):
    return parse_robot(document(**options), 'two.yaml')


@pytest.fixture
def head():
    one = VirtualHead(document())
    one.start()
    one.run(0.3, goal_cycles=10)
    return one


def sentence(one):
    return one.controller.status().sentence


def moved(one, joint):
    """Return how far a joint was commanded in the last 0.5 s."""
    index = one.robot.names.index(joint)
    way = [cycle.present_rad[index] for t, cycle, _ in one.cycles if t > one.now_s - 0.5]
    return max(way) - min(way)


def faults_of(change):
    whole = document()
    change(whole)
    with pytest.raises(ConfigError) as caught:
        parse_robot(whole, 'two.yaml')
    return '; '.join(caught.value.faults)


def test_a_robot_file_names_its_buses_and_each_joint_its_bus():
    robot = robot_of()
    assert [line.name for line in robot.lines] == ['mouth', 'eyes']
    assert robot.part_on(robot.lines[1]).names == (LID, GAZE)
    assert load_robot('sim_face').lines[0].port == 'simulated'
    assert len(load_robot('face25').joints) == 25


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda d: d['joints'][0].pop('bus'), "jaw.bus = '' must be one of buses: mouth, eyes"),
        (lambda d: d['joints'][0].update(bus='ears'), "jaw.bus = 'ears' must be one of"),
        (lambda d: d.update(port='/dev/a'), "port = '/dev/a' belongs to each of the buses"),
        (lambda d: d.update(buses=SIMULATED | {'ears': {'port': 'simulated'}}), 'ears has no'),
        (lambda d: d['buses'].update(eyes={'port': '/dev/a'}), 'all must be simulated, or none'),
        (
            lambda d: d['buses'].update(eyes={'port': 'none'}),
            "port = 'none' is for a head without",
        ),
        (lambda d: d['buses'].update(eyes={'port': 'simulated', 'baud': 7}), 'eyes.baud = 7'),
        (lambda d: d['buses'].update(eyes=3), 'must be a mapping with port and baud'),
        (
            lambda d: d.update(buses={'mouth': {'port': '/dev/a'}, 'eyes': {'port': '/dev/a'}}),
            '/dev/a is the port of two',
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(change, said):
    assert said in faults_of(lambda d: (d.update(buses=dict(SIMULATED)), change(d)))


def test_both_buses_move_in_one_cycle_and_within_all_limits(head):
    head.run(1.0, goal_cycles=15, extreme=0.5)
    assert {servo.id for servo in head.ports['eyes'].line.servos}.isdisjoint(
        servo.id for servo in head.ports['mouth'].line.servos
    )
    assert moved(head, JAW) > 0.05
    assert moved(head, GAZE) > 0.05
    head.close()
    assert head.judge.end(head.now_s) == []


def test_two_buses_answer_at_the_same_time(head):
    bus = head.controller.cycle.servos.bus
    took = []
    for ids in (head.robot.ids[:2], head.robot.ids):
        for _ in range(2):
            begin = head.now_s
            bus.group_read(126, 10, ids)
            took.append(head.now_s - begin)
    # Asking takes its time on the wire one by one here, the answers of both lines one time.
    assert took[-1] < 1.6 * took[1]


def jam(port, numbers):
    """Let a line take no bytes of its goals with these numbers, from now on."""
    write, goals = port.writePort, itertools.count()

    def jammed(packet):
        if packet[7] == SYNC_WRITE and packet[8] == GOAL_POSITION and next(goals) in numbers:
            raise serial.SerialTimeoutException
        return write(packet)

    port.writePort = jammed


def test_goals_that_one_bus_does_not_take_go_there_next_and_the_other_bus_waits(head):
    # The good bus got the same goal twice: for one cycle its joints stood still in mid-motion.
    jam(head.ports['eyes'], range(5, 100, 7))
    head.run(1.0, goal_cycles=15, extreme=0.5)
    assert head.controller.statistics().errors >= 14
    head.close()
    assert head.judge.end(head.now_s) == []


@pytest.mark.parametrize('numbers', [{0}, {0, 1}])
def test_a_head_that_is_left_holding_comes_to_rest_although_goals_did_not_go_out(numbers):
    # The step that did not go out and the first of the stop were one; a second failure ended it.
    one = VirtualHead(document() | {'exit': 'hold'})
    one.start()
    assert one.goal(jaw=0.3, gaze_pitch=0.2) == ''
    one.run(0.049)
    for port in one.ports.values():
        jam(port, numbers)
    one.run(0.009)
    one.close()
    assert one.judge.end(one.now_s) == []


@pytest.mark.parametrize('fault', ['unplug', 'silence'])
def test_a_lost_bus_stops_its_joints_and_the_others_go_on(head, fault):
    head.fault(fault, 'eyes')
    head.run(0.3)
    assert 'bus eyes: none of its 2 servos replies' in sentence(head)
    head.run(0.7, goal_cycles=20, extreme=1.0)
    assert head.controller.state == RUNNING
    assert moved(head, JAW) > 0.1
    assert moved(head, GAZE) == 0.0
    head.fault('plug' if fault == 'unplug' else 'normal', 'eyes')
    assert head.run(3.0, until=lambda: head.controller.cycle.all_running)
    head.run(0.6, goal_cycles=20, extreme=1.0)
    assert moved(head, GAZE) > 0.1
    head.close()
    assert head.judge.end(head.now_s) == []


def test_joints_that_are_coupled_with_a_lost_bus_rest_until_it_is_back():
    one = VirtualHead(document(PLACES | {GAZE: 'mouth'}))
    one.start()
    one.run(0.3, goal_cycles=10)
    one.fault('unplug', 'eyes')
    one.run(0.8, goal_cycles=20, extreme=1.0)
    assert f'{GAZE}: rests: coupled with {LID}, whose bus is lost' in sentence(one)
    assert moved(one, GAZE) == 0.0
    assert moved(one, JAW) > 0.1
    one.fault('plug', 'eyes')
    assert one.run(3.0, until=lambda: one.controller.cycle.all_running)
    assert one.judge.end(one.now_s) == []


@pytest.mark.parametrize('under_way_s', [0.05, 0.09, 0.13])
def test_joints_that_rest_beside_a_lost_bus_are_reckoned_with_up_to_their_last_goal(under_way_s):
    # The other lid used the room up to where the gaze was seen last: 0.42 rad instead of 0.4.
    right = 'eyelid_right'
    one = VirtualHead(document({LID: 'eyes', right: 'mouth', GAZE: 'mouth'}))
    one.start()
    one.goal(**{GAZE: -0.3, right: 0.1})
    one.run(1.0)
    one.goal(**{GAZE: 0.4})
    one.run(under_way_s)
    one.fault('unplug', 'eyes')
    one.run(0.15)
    assert sentence(one).count('rests: coupled with') == 1
    one.goal(**{right: 0.25})
    one.run(0.8)
    assert moved(one, GAZE) == 0.0
    assert one.judge.end(one.now_s) == []


THREE = {name: {'port': 'simulated'} for name in ('mouth', 'eyes', 'neck')}


@pytest.mark.parametrize(
    'order', [('eyes', 'mouth'), ('mouth', 'eyes'), ('eyes', 'mouth', 'eyes', 'mouth')]
)
@pytest.mark.parametrize('at_once', [False, True])
def test_joints_of_lost_buses_never_wait_for_each_other(order, at_once):
    # Each was to rest until the other moved again, for ever.
    places = {LID: 'eyes', 'brow_left': 'eyes', GAZE: 'mouth', JAW: 'mouth', 'neck_yaw': 'neck'}
    one = VirtualHead(document(places, THREE))
    one.start()
    one.run(0.3, goal_cycles=10)
    for bus in order:
        one.fault('silence', bus)
        one.run(0.5, goal_cycles=10)
        if not at_once:
            one.fault('normal', bus)
            assert one.run(4.0, until=lambda: one.controller.cycle.all_running), sentence(one)
    for bus in order:
        one.fault('normal', bus)
        one.run(0.5)
    assert one.run(4.0, until=lambda: one.controller.cycle.all_running), sentence(one)
    assert one.judge.end(one.now_s) == []


def test_when_all_buses_are_lost_the_head_is_and_one_alone_comes_back(head):
    for bus in ('mouth', 'eyes'):
        head.fault('unplug', bus)
    head.run(0.5)
    assert head.controller.state == LOST
    head.fault('plug', 'eyes')
    assert head.run(3.0, until=lambda: head.controller.state == RUNNING)
    head.run(1.0, goal_cycles=20, extreme=1.0)
    assert 'bus mouth: none of its 2 servos replies' in sentence(head)
    assert moved(head, LID) > 0.1
    assert head.judge.end(head.now_s) == []


def test_a_stop_reaches_the_other_bus_at_once(head):
    head.fault('unplug', 'eyes')
    head.run(0.05)
    head.stop()
    head.run(0.05)
    for servo in head.ports['mouth'].line.servos:
        assert not servo.registers.get('torque_enable')


def test_a_head_does_not_start_without_one_of_its_buses():
    one = VirtualHead(document())
    one.fault('unplug', 'eyes')
    with pytest.raises(PortError, match=r'bus eyes: .*is gone'):
        one.start()


def test_swapped_cables_are_named():
    one = VirtualHead(document())
    first, second = (port.line for port in one.ports.values())
    first.servos, second.servos = second.servos, first.servos
    with pytest.raises(ServoSetupError) as caught:
        one.start()
    assert 'does not reply on bus mouth, but on bus eyes' in str(caught.value)


def test_one_device_is_not_a_head_of_two_buses():
    with pytest.raises(PortError, match='has 2 buses'):
        make_bus(robot_of(), '/dev/ttyUSB0')
    assert make_bus(robot_of(), 'simulated').port == 'simulated'


def test_a_simulator_is_of_one_bus():
    assert part_of(robot_of(), 'eyes').names == (LID, GAZE)
    with pytest.raises(ConfigError, match='has 2 buses: choose --bus mouth or --bus eyes'):
        part_of(robot_of(), '')
    with pytest.raises(ConfigError, match='must be one of buses: none'):
        part_of(load_robot('sim_face'), 'eyes')


def test_servo_off_lets_go_of_every_bus_that_is_there(tmp_path, capsys):
    servos = simulated_servos(part_of(robot_of(), 'eyes'))
    for servo in servos:
        servo.registers.set('torque_enable', 1)
    with SimulatedPort(SimulatedBus(servos), PseudoTerminal()) as line:
        buses = {'mouth': {'port': str(tmp_path / 'gone')}, 'eyes': {'port': line.device}}
        file = tmp_path / 'two.yaml'
        file.write_text(yaml.safe_dump(document(buses=buses)), encoding='utf-8')
        args = argparse.Namespace(robot=str(file), port='', baud=0, force=False)
        with pytest.raises(PortError, match=r'bus mouth: .*does not exist'):
            off.run(args)
    assert not any(servo.registers.get('torque_enable') for servo in servos)
    assert re.search(r'2 of 2 servos of \w+ are limp', capsys.readouterr().out)
