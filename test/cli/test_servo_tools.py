import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from kf_imitation.actuators.dynamixel import port_owner
from kf_imitation.cli.servo import ACTIONS, add_arguments, run
from kf_imitation.cli.servo_tools import commission, connection, jog
from kf_imitation.cli.servo_tools.recording import read_recording
from kf_imitation.cli.servo_tools.selftest import with_measured, write_measured, yielding
from kf_imitation.errors import BusError, ConfigError, PortError, ServoSetupError
from kf_imitation.head.simulator_process import SimulatorProcess
from kf_imitation.paths import share_path
from kf_imitation.robot import Measured, load_robot


@pytest.fixture
def small_file(tmp_path):
    """The simulated face with two joints, as a file."""
    document = yaml.safe_load(share_path('config/robots/sim_face.yaml').read_text('utf-8'))
    document['joints'] = [document['joints'][0], document['joints'][9]]
    document['coupled_limits'] = []
    path = tmp_path / 'small.yaml'
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding='utf-8')
    return path


@pytest.fixture
def tool(small_file, rig):
    """Run a tool on the rig's port, as the command line does."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    def call(*words):
        options = ['--robot', str(small_file), '--port', rig.port.device]
        return run(parser.parse_args([words[0], *options, *words[1:]]))

    return call


def test_every_tool_explains_itself():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for name in ACTIONS:
        with pytest.raises(SystemExit) as left:
            parser.parse_args([name, '--help'])
        assert left.value.code == 0


def test_scan_finds_all(tool, capsys):
    assert tool('scan') == 0
    out = capsys.readouterr().out
    assert 'id   1  XL330-M288' in out and 'all 2 servos are there' in out


def test_scan_names_what_is_missing(tool, rig, capsys):
    rig.fault('dead 10')
    assert tool('scan') == 1
    assert 'id 10 (neck_yaw, XM430-W350) does not reply' in capsys.readouterr().out


def test_scan_and_ping_give_what_they_found_as_json(tool, capsys):
    assert tool('scan', '--json', '-') == 0
    found = json.loads(capsys.readouterr().out)
    assert [servo['id'] for servo in found['servos']] == [1, 10] and found['faults'] == []
    assert tool('ping', '10', '--json', '-') == 0
    servo = json.loads(capsys.readouterr().out)
    assert servo['id'] == 10 and servo['temperature_c'] > 0 and servo['torque_enable'] == 0


def test_ping_tells_how_the_servo_is(tool, capsys):
    assert tool('ping', '10') == 0
    assert '25 °C, 12.0 V' in capsys.readouterr().out


def test_set_id_needs_a_yes(tool, rig):
    assert tool('set-id', '1', '5') == 0
    assert rig.line.servos[0].id == 1
    assert tool('set-id', '1', '5', '--yes') == 0
    assert rig.line.servos[0].id == 5


@pytest.mark.parametrize(
    'words',
    [
        ('ping', '300'),  # once a traceback of the serial port
        ('ping', '254'),
        ('set-id', '254', '7', '--yes'),  # the broadcast id: would have meant every servo
        ('set-id', '1', '253', '--yes'),
        ('set-baud', '254', '57600', '--yes'),
        ('ping', 'jaw'),
    ],
)
def test_an_id_that_no_servo_can_have_is_rejected(tool, rig, words, capsys):
    before = rig.line.instructions
    with pytest.raises(SystemExit) as left:
        tool(*words)
    assert left.value.code == 2
    assert 'must be from 0 to 252' in capsys.readouterr().err
    assert rig.line.instructions == before


def test_limits_become_the_servos_own(tool, rig):
    assert tool('limits', '--write') == 0
    registers = rig.servo('neck_yaw').registers
    assert registers.get('max_position_limit') == 2048 + round(0.9 / (2 * np.pi) * 4096)


def test_limits_are_written_into_all_servos_or_none(tool, rig):
    with rig.port.lock:
        assert rig.servo('neck_yaw').write(64, b'\x01') == 0
    with pytest.raises(BusError, match='neck_yaw'):
        tool('limits', '--write')
    assert rig.servo('jaw').registers.get('max_position_limit') == 4095


def test_jog_moves_one_joint_and_lets_go(tool, rig, capsys):
    assert tool('jog', 'jaw', '0.1', '--speed', '2') == 0
    assert 'goal +0.100' in capsys.readouterr().out
    assert rig.torques() == [False, False]


def test_a_recording_can_be_played(tool, tmp_path, capsys):
    path = tmp_path / 'poses.csv'
    assert tool('record', str(path), '--seconds', '0.3', '--yes') == 0
    assert tool('play', str(path)) == 0
    assert 'poses played' in capsys.readouterr().out


@pytest.mark.parametrize('seconds', ['nan', 'inf', '-1', '0'])
def test_a_recording_without_a_length_is_rejected_before_torque_goes_off(
    tool, rig, tmp_path, seconds
):
    with rig.port.lock:
        assert rig.servo('neck_yaw').write(64, b'\x01') == 0
    path = tmp_path / 'poses.csv'
    with pytest.raises(ConfigError, match='--seconds'):
        tool('record', str(path), '--yes', '--seconds', seconds)
    assert rig.servo('neck_yaw').torque
    assert not path.exists()


def test_recordings_with_faults_are_rejected_with_all_of_them(tmp_path, small_file):
    path = tmp_path / 'poses.csv'
    path.write_text('time_s,ear\n0,1\n', encoding='utf-8')
    with pytest.raises(ConfigError) as caught:
        read_recording(path, load_robot(str(small_file)))
    assert caught.value.faults == ('has no column jaw', 'has no column neck_yaw')


def as_from_the_factory(rig):
    """Let both servos pass as real ones that nobody has set up."""
    with rig.port.lock:
        for servo in rig.line.servos:
            servo.registers.reset(eeprom=True, keep=('id', 'baud_rate', 'model_number'))
            servo.registers.set('model_information', 0)


def test_a_head_is_commissioned_and_then_starts(tool, rig, small_file, small_robot, capsys):
    as_from_the_factory(rig)
    robot = replace(small_robot, source=str(small_file))
    with pytest.raises(ServoSetupError, match='is not commissioned'):
        rig.controller(robot)
    assert tool('commission', '--yes') == 0
    out = capsys.readouterr().out
    assert 'Write into its EEPROM: return_delay_time 250 -> 0, operating_mode 3 -> 5' in out
    assert 'jaw: now it should look a little like jaw open (+0.10 rad)\n  Did it? yes' in out
    assert rig.torques() == [False, False]
    record = small_file.with_name('small.commissioning.yaml')
    assert str(record) in out
    marks = [servo.registers.get('moving_threshold') for servo in rig.line.servos]
    assert len(set(marks)) == 2  # they can be told apart
    rig.controller(robot)
    assert rig.torques() == [True, True]


@pytest.mark.parametrize(
    ('joint', 'way', 'sees'),
    [
        (
            'gaze_yaw',
            0.1,
            "the eyes should look to the left, left and right being the robot's own",
        ),
        (
            'neck_yaw',
            -0.1,
            "the head should turn to the right, left and right being the robot's own",
        ),
        ('neck_pitch', 0.1, 'the head should look down'),
        ('jaw', -0.1, 'it should look a little less like jaw open'),
        (
            'mouth_corner_left',
            -0.1,
            "it should look a little like mouth frown left, left and right being the robot's own",
        ),
    ],
)
def test_an_owner_is_told_what_to_see_when_a_joint_moves(joint, way, sees):
    robot = load_robot('sim_face')
    assert commission._expectation(robot.joints[robot.names.index(joint)], way) == sees


def test_a_joint_without_a_channel_is_told_by_its_limit():
    jaw = replace(load_robot('sim_face').joints[0], channels={})
    assert commission._expectation(jaw, 0.1) == 'it should turn towards its limit of +0.50 rad'


@pytest.mark.parametrize(
    ('words', 'why'),
    [
        (('jawe', '0.1'), 'did you mean jaw?'),
        (('jaw', '2.0'), r'jaw = 2 rad is outside [-0.02, 0.5]'),
        (('jaw', 'nan'), r'jaw = nan rad is outside'),
        (('jaw', '0.2', '--speed', '-1'), '1 problem\n  - --speed = -1 rad/s must be above 0'),
        (('jaw', '0.2', '--speed', 'nan'), '--speed = nan rad/s must be above 0'),
        (('jaw', '0.2', '--current', '5'), '1 problem\n  - --current = 5 must be above 0, up'),
    ],
)
def test_a_jog_that_cannot_be_done_is_rejected_before_the_bus_is_opened(words, why, monkeypatch):
    monkeypatch.setattr(jog, 'running_head', lambda *_: pytest.fail('torque'))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(ConfigError, match=re.escape(why)):
        run(parser.parse_args(['jog', *words]))


def test_commissioning_writes_nothing_and_no_record_without_a_yes(
    tool, rig, small_file, monkeypatch, capsys
):
    as_from_the_factory(rig)
    monkeypatch.setattr('sys.stdin', io.StringIO('y\nn\nn\n'))
    assert tool('commission') == 1
    assert 'Not settled, so nothing moves' in capsys.readouterr().out
    assert rig.servo('jaw').registers.get('operating_mode') == 3
    assert not rig.writes('torque_enable')
    assert not small_file.with_name('small.commissioning.yaml').exists()


def test_commissioning_puts_the_homing_offset_of_a_simulated_servo_right(tool, rig, capsys):
    """It once asked whether the owner had set it, moved, and ended with itself as the remedy."""
    jaw = rig.servo('jaw').registers
    for name, value in {'homing_offset': 1000, 'operating_mode': 3, 'drive_mode': 4}.items():
        jaw.set(name, value)
    assert tool('commission', '--yes') == 0
    out = capsys.readouterr().out
    assert 'has a homing_offset of 1000 (88 degrees), must be 0\n' in out
    assert 'homing_offset 1000 -> 0' in out and 'did you set it' not in out
    assert 'puts it right' not in out  # this is what does
    assert jaw.get('homing_offset') == 0
    assert tool('commission', '--yes') == 0
    assert 'homing_offset' not in capsys.readouterr().out


@pytest.mark.parametrize(('answer', 'left'), [('y', 40), ('n', 0)])
def test_an_offset_of_a_real_servo_stays_only_where_its_owner_set_it(
    tool, rig, small_file, monkeypatch, answer, left
):
    as_from_the_factory(rig)
    jaw = rig.servo('jaw').registers
    jaw.set('homing_offset', 40)
    monkeypatch.setattr(commission, 'try_joint', lambda *_: True)
    monkeypatch.setattr('sys.stdin', io.StringIO(f'y\n{answer}\ny\ny\n'))
    assert tool('commission') == 0
    assert jaw.get('homing_offset') == left
    record = yaml.safe_load(small_file.with_name('small.commissioning.yaml').read_text('utf-8'))
    assert record['joints']['jaw']['registers']['homing_offset'] == left


def test_what_an_owner_does_not_let_be_written_is_named_without_this_command(
    tool, rig, monkeypatch, capsys
):
    as_from_the_factory(rig)
    monkeypatch.setattr('sys.stdin', io.StringIO('y\nn\ny\n'))
    assert tool('commission') == 1
    left = capsys.readouterr().out.partition('Not settled')[2]
    assert 'servo 1 (jaw) is in mode 3 (position), must be in 5' in left
    assert 'puts it right' not in left


def test_commissioning_says_of_each_end_whether_it_was_reached(tool, rig, monkeypatch, capsys):
    monkeypatch.setattr(commission, '_go', lambda _, joint, goal: joint.id == 1 and goal < 0.5)
    assert tool('commission', '--yes', '--ends') == 1
    jaw, _, neck = capsys.readouterr().out.partition('\nneck_yaw: now')
    assert 'end -0.02 rad: reached' in jaw and 'end +0.50 rad: contact before it' in jaw
    assert 'its ends are not tried' in neck and 'reached' not in neck


def test_commissioning_that_is_not_begun_says_what_to_do(tool, rig, monkeypatch, capsys):
    monkeypatch.setattr('sys.stdin', io.StringIO('maybe\nn\n'))
    assert tool('commission') == 1
    out = capsys.readouterr().out
    assert out.count('Is it? [y/n]') == 2
    assert 'Nothing was done. When both are so, run this again.' in out


def test_commissioning_without_a_terminal_says_how_a_real_head_is_done(tool, monkeypatch):
    monkeypatch.setattr('sys.stdin', io.StringIO(''))
    with pytest.raises(ConfigError, match='run it in a terminal'):
        tool('commission')


def test_a_joint_that_turns_the_wrong_way_is_not_commissioned(
    tool, rig, small_file, monkeypatch, capsys
):
    as_from_the_factory(rig)
    monkeypatch.setattr('sys.stdin', io.StringIO('y\ny\ny\nn\ny\n'))  # jaw: no; neck: yes
    assert tool('commission') == 1
    out = capsys.readouterr().out
    assert 'then direction must be -1 in the robot file' in out
    assert 'no record is written: jaw' in out
    assert not small_file.with_name('small.commissioning.yaml').exists()


def test_only_the_joint_that_is_tried_gets_torque(tool, rig, small_file):
    as_from_the_factory(rig)
    assert tool('commission', '--yes') == 0
    on: set[int] = set()
    for record in rig.writes('torque_enable'):
        if record.value:
            on.add(record.id)
            assert len(on) == 1
        else:
            on.discard(record.id)


def test_commissioning_waits_until_no_program_holds_the_servos(tool, rig):
    with rig.port.lock:
        assert rig.servo('neck_yaw').write(64, b'\x01') == 0
    with pytest.raises(BusError, match='torque is on in neck_yaw'):
        tool('commission', '--yes')


def test_off_starts_no_simulator(monkeypatch):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    monkeypatch.setattr(SimulatorProcess, '__init__', lambda *_: pytest.fail('started'))
    with pytest.raises(ConfigError, match="'simulated' of sim_face names no device"):
        run(parser.parse_args(['off', '--robot', 'sim_face']))


HOLDER = """
import sys, signal
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it hangs
bus = DynamixelBus(sys.argv[1], int(sys.argv[2]))
bus.open()
bus.write(10, 64, bytes([1]))
print('holds', flush=True)
sys.stdin.read()
"""


def test_off_names_the_program_that_holds_the_port_and_ends_it_only_if_told_to(
    tool, rig, monkeypatch, capsys
):
    monkeypatch.setattr(port_owner.end, '__defaults__', (0.3, os.kill, time.sleep))
    command = [sys.executable, '-c', HOLDER, rig.port.device, str(rig.robot.baud)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == 'holds\n'
        with pytest.raises(PortError, match=f'process {holder.pid} .*nothing was switched off'):
            tool('off')
        assert rig.torques() == [False, True]
        assert tool('off', '--force') == 0
        assert rig.torques() == [False, False]
        assert holder.wait(5) != 0


def test_off_ends_nobody_for_a_path_that_is_no_device(tool, small_file, tmp_path, monkeypatch):
    """Files have the device number 0, as has every file that any program has open."""
    monkeypatch.setattr(port_owner, 'end', lambda pid: pytest.fail(f'{pid} was ended'))
    file = tmp_path / 'notes.txt'
    file.write_text('no servos here', encoding='utf-8')
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for force in ([], ['--force']):
        words = ['off', '--robot', str(small_file), '--port', str(file), *force]
        with pytest.raises(PortError) as error:
            run(parser.parse_args(words))
        assert str(error.value) == f'{file}: is not a serial device'


def test_a_tool_that_nobody_said_yes_to_ends_with_an_error(tool, rig, tmp_path):
    with pytest.raises(ConfigError, match='moves jaw one by one: keep clear and add --yes'):
        tool('selftest', '--joint', 'jaw')
    with pytest.raises(ConfigError, match='the head may fall: hold it and add --yes'):
        tool('record', str(tmp_path / 'poses.csv'))
    assert not rig.writes('torque_enable')


def test_the_selftest_measures_a_joint(tool, small_file, capsys):
    shutil.copy(share_path('config/robots/sim_face.yaml'), small_file)
    text = small_file.read_text(encoding='utf-8')
    new = with_measured(text, {'jaw': Measured(3.0, 0.02, 0.001, (-0.1, 0.4))})
    small_file.write_text(new, encoding='utf-8')
    robot = load_robot(str(small_file))
    assert robot.joints[0].measured == Measured(3.0, 0.02, 0.001, (-0.1, 0.4))
    again = with_measured(new, {'jaw': Measured(4.0, 0.02, 0.001, (-0.1, 0.4))})
    assert again.count('measured:') == 1
    assert len(again.splitlines()) == len(text.splitlines()) + 1


def test_the_selftest_of_one_joint_gives_speed_and_delay(tool, capsys):
    assert tool('selftest', '--joint', 'jaw', '--yes') == 0
    out = capsys.readouterr().out
    assert '1/1 jaw: ' in out and 'rad/s, delay 0.0' in out


def test_the_selftest_gives_its_figures_as_json(tool, monkeypatch, capsys):
    found = Measured(3.0, 0.02, 0.001, (-0.1, 0.4))
    monkeypatch.setattr('kf_imitation.cli.servo_tools.selftest.measure', lambda *_: found)
    assert tool('selftest', '--joint', 'jaw', '--yes', '--json', '-') == 0
    out, err = capsys.readouterr()
    assert json.loads(out)['jaw']['range_rad'] == [-0.1, 0.4]
    assert '1/1 jaw: ' in err


def test_the_selftest_of_a_loaded_joint_tells_how_far_it_yields(tool, rig, small_file, capsys):
    rig.fault('load 10 0.15')
    assert tool('selftest', '--joint', 'neck_yaw', '--yes', '--write') == 0
    assert 'yields 0.' in capsys.readouterr().out
    neck = load_robot(str(small_file)).joints[1]
    assert neck.measured.yield_rad_a == pytest.approx(0.0, abs=0.01)  # a simulated one is stiff


@pytest.mark.parametrize(('held_a', 'yields'), [((0.5, -0.25), 0.2), ((0.02, -0.01), None)])
def test_yielding_is_how_far_a_joint_stays_back_for_the_current_it_holds(held_a, yields):
    cycles = [
        SimpleNamespace(current_a=[a], commanded_rad=[0.3], present_rad=[0.3 - 0.2 * a])
        for a in held_a
    ]
    assert yielding(cycles, 0) == (yields and pytest.approx(yields))


def test_a_selftest_that_finds_a_stuck_joint_writes_nothing(tool, rig, small_file, monkeypatch):
    monkeypatch.setattr(connection.Head.go, '__defaults__', (10.0,))
    before = small_file.read_text(encoding='utf-8')
    rig.fault('block 1')
    with pytest.raises(BusError, match=r'jaw is at .* instead of .*: jaw .*pushed'):
        tool('selftest', '--joint', 'jaw', '--yes', '--write')
    assert small_file.read_text(encoding='utf-8') == before
    assert rig.torques() == [False, False]


def test_figures_that_make_a_faulty_file_are_not_written(small_file):
    before = small_file.read_text(encoding='utf-8')
    with pytest.raises(ConfigError, match='range_rad'):
        write_measured(small_file, {'jaw': Measured(0.0, 0.0, 0.0, (0.0, 0.0))})
    assert small_file.read_text(encoding='utf-8') == before
    assert [path.name for path in small_file.parent.iterdir()] == [small_file.name]


def test_a_file_that_cannot_take_figures_is_reported_of_before_anything_moves(
    tool, rig, small_file
):
    text = small_file.read_text(encoding='utf-8')
    small_file.write_text(text.replace('- name: jaw', '- "name": jaw'), encoding='utf-8')
    with pytest.raises(ConfigError, match='on a line of its own'):
        tool('selftest', '--joint', 'jaw', '--yes', '--write')
    assert not any(record.value for record in rig.writes('torque_enable'))


def test_off_lets_all_servos_go_and_names_those_that_do_not_answer(tool, rig, capsys):
    with rig.port.lock:
        for servo in rig.line.servos:
            assert servo.write(64, b'\x01') == 0
    assert tool('off') == 0
    assert rig.torques() == [False, False]
    out = capsys.readouterr().out
    assert rig.port.device in out and 'limp: jaw, neck_yaw' in out
    assert '2 of 2 servos of sim_face are limp' in out
    rig.fault('dead 10')
    assert tool('off') == 1
    out = capsys.readouterr().out
    assert 'limp: jaw' in out and 'no answer from neck_yaw: cut their power' in out


def test_off_frees_servos_whose_watchdog_tripped(tool, rig):
    """What a host that was killed leaves behind."""
    with rig.port.lock:
        for servo in rig.line.servos:
            assert servo.write(64, b'\x01') == 0
            servo.registers.set('bus_watchdog', 255)
    assert tool('off') == 0
    assert rig.torques() == [False, False]
