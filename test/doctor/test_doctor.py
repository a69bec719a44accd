"""The doctor: every finding on a line, bad ones in the exit code."""

import os
import stat
from dataclasses import replace
from types import SimpleNamespace

import pytest

from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.faults import apply_fault
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.pseudo_terminal import PseudoTerminal
from kf_imitation.cli import main as cli
from kf_imitation.doctor import environment, port, servos
from kf_imitation.doctor.finding import ERROR, OK, WARN
from kf_imitation.doctor.port import check_latency, check_port
from kf_imitation.doctor.servos import check_servos
from kf_imitation.face import detector
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.robot import load_robot

DEVICE = '/dev/ttyUSB0'
STABLE = 'dev/serial/by-id/usb-FTDI_USB__-__Serial_Converter_FT1-if00-port0'


def test_a_healthy_installation_is_told_so(capsys):
    code = cli.main(['doctor', '--source', 'test-pattern:1', '--port', 'simulated'])
    lines = capsys.readouterr().out.splitlines()
    subjects = [line[6:].split(':')[0] for line in lines]
    needed = {'machine', 'ROS 2', 'parameters', 'face search', 'robot sim_face', 'bus time'}
    assert needed <= set(subjects)
    assert any(subject.startswith('model ') for subject in subjects)
    assert sum(subject.startswith('servo ') for subject in subjects) == 13
    assert any('firmware' in line and ' V, ' in line for line in lines)
    bad = [line for line in lines if line.startswith('error')]
    assert code == (2 if bad else 0)
    assert not [line for line in bad if 'ROS 2' not in line]


@pytest.mark.parametrize('name', ['bus1', './bus1'])
def test_a_port_may_be_given_as_seen_from_here(name, tmp_path, monkeypatch):
    """The tools opened it, and the doctor looked for it in the root folder."""
    timer = tmp_path / 'sys/bus/usb-serial/devices/bus1/latency_timer'
    timer.parent.mkdir(parents=True)
    timer.write_text('1\n')
    (tmp_path / 'bus1').touch()
    monkeypatch.chdir(tmp_path)
    (finding,) = check_port(name)
    assert finding.level == OK and finding.sentence == 'may be opened'
    monkeypatch.chdir('/')
    (finding,) = check_latency(name, tmp_path)
    assert finding.sentence == 'latency_timer is 1 ms'


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--port', '/dev/no-such-port'], 'is the adapter plugged in'),
        (['--robot', 'nobody', '--port', 'none'], 'no such robot'),
        (['--port', 'none', '--source', 'gone.mp4'], 'does not exist'),
        (['--port', 'none', '--params', 'gone.yaml'], 'cannot be read'),
    ],
)
def test_what_is_wrong_is_reported_and_the_rest_is_checked_all_the_same(arguments, words, capsys):
    assert cli.main(['doctor', *arguments]) == 2
    out = capsys.readouterr().out
    assert words in out
    assert 'ok    machine' in out or 'warn  machine' in out
    assert out.splitlines()[-1].endswith((', 1 error', 'errors'))


def test_a_machine_whose_opencv_came_without_its_data_is_told_the_command(monkeypatch, capsys):
    """Debian's python3-opencv does: the doctor said nothing, and the head did not start."""
    monkeypatch.setattr(detector, 'cascade_folders', lambda: [])
    assert cli.main(['doctor', '--port', 'none']) == 2
    assert 'sudo apt install opencv-data' in capsys.readouterr().out


# --- ROS ---------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(environment, 'find_spec', lambda name: object())
    monkeypatch.setattr(environment, 'import_module', lambda name: None)
    monkeypatch.delenv('ROS_DOMAIN_ID', raising=False)


@pytest.mark.parametrize(
    ('variable', 'value'),
    [('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET'), ('ROS_STATIC_PEERS', '192.168.1.7')],
)
def test_an_open_network_is_noted(monkeypatch, installed, variable, value):
    monkeypatch.setenv(variable, value)
    (finding,) = environment.check_ros()
    assert value in finding.sentence
    assert finding.level == WARN
    assert 'others may move the head' in finding.sentence


def test_missing_ros_is_bad_and_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(environment, 'find_spec', lambda name: None)
    (finding,) = environment.check_ros()
    assert finding.level == ERROR
    assert 'pip install' in finding.sentence


def test_a_ros_of_another_python_is_bad(monkeypatch, installed):
    def fail(name):
        raise ImportError('no module _rclpy_pybind11')

    monkeypatch.setattr(environment, 'import_module', fail)
    (finding,) = environment.check_ros()
    assert finding.level == ERROR
    assert 'does not load' in finding.sentence


def test_missing_messages_and_a_wrong_domain_are_bad(monkeypatch, installed):
    monkeypatch.setattr(
        environment, 'find_spec', lambda name: None if name == 'trajectory_msgs' else object()
    )
    monkeypatch.setenv('ROS_DOMAIN_ID', '300')
    bad = [finding.sentence for finding in environment.check_ros() if finding.level == ERROR]
    assert 'trajectory_msgs' in bad[0]
    assert 'ROS_DOMAIN_ID' in bad[1]


# --- the port, in a tree of files ---------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """/dev and /sys of a machine with one FTDI adapter."""
    usb = tmp_path / 'sys/devices/usb1/1-1'
    tty = usb / '1-1:1.0/ttyUSB0'
    for folder in (tty, tmp_path / 'dev/serial/by-id', tmp_path / 'sys/class/tty/ttyUSB0'):
        folder.mkdir(parents=True)
    (usb / 'idVendor').write_text('0403\n')
    (usb / 'idProduct').write_text('6014\n')
    (tmp_path / 'sys/class/tty/ttyUSB0/device').symlink_to(tty)
    (tmp_path / 'dev/ttyUSB0').touch()
    (tmp_path / STABLE).symlink_to('../../ttyUSB0')
    timer = tmp_path / 'sys/bus/usb-serial/devices/ttyUSB0'
    timer.mkdir(parents=True)
    (timer / 'latency_timer').write_text('16\n')
    return tmp_path


def test_a_port_is_good_and_its_lasting_name_is_reported(tree):
    (finding,) = check_port(DEVICE, tree)
    assert finding.level == WARN and f'/{STABLE}' in finding.sentence
    (finding,) = check_port(f'/{STABLE}', tree)
    assert finding.level == OK


def test_a_missing_port_names_those_that_are_there(tree):
    (finding,) = check_port('/dev/ttyUSB7', tree)
    assert finding.level == ERROR
    assert f'/{STABLE}' in finding.sentence


@pytest.mark.parametrize(
    ('mode', 'members', 'words'),
    [
        (0o660, [], 'sudo usermod -aG dialout $USER'),
        (0o660, ['someone'], 'only after you log in again'),
        (0o600, [], 'no group may use it'),
    ],
)
def test_missing_rights_are_explained_with_group_and_udev_rule(
    tree, monkeypatch, mode, members, words
):
    (tree / 'dev/ttyUSB0').chmod(mode)
    monkeypatch.setenv('USER', 'someone')
    monkeypatch.setattr(port.os, 'access', lambda path, how: False)
    monkeypatch.setattr(port.os, 'getgroups', lambda: [])
    group = SimpleNamespace(gr_name='dialout', gr_mem=members)
    monkeypatch.setattr(port.grp, 'getgrgid', lambda number: group)
    (finding,) = check_port(DEVICE, tree)
    assert finding.level == ERROR
    assert words in finding.sentence
    if not members:
        assert 'ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6014"' in finding.sentence


@pytest.mark.skipif(os.geteuid() == 0, reason='root may open everything')
def test_rights_are_asked_of_the_system(tree):
    (tree / 'dev/ttyUSB0').chmod(0)
    assert not stat.S_IMODE((tree / 'dev/ttyUSB0').stat().st_mode)
    (finding,) = check_port(DEVICE, tree)
    assert finding.level == ERROR


@pytest.mark.parametrize('name', [DEVICE, f'/{STABLE}'])
def test_a_slow_adapter_is_a_note_before_and_bad_after_the_port_was_opened(tree, name):
    (finding,) = check_latency(name, tree)
    assert finding.level == WARN
    (finding,) = check_latency(name, tree, opened=True)
    assert finding.level == ERROR
    assert 'latency_timer' in finding.sentence and 'ATTR{latency_timer}="1"' in finding.sentence
    (tree / 'sys/bus/usb-serial/devices/ttyUSB0/latency_timer').write_text('1\n')
    (finding,) = check_latency(name, tree, opened=True)
    assert finding.level == OK


def test_devices_without_a_latency_timer_are_left_alone(tree):
    assert not list(check_latency('/dev/ttyACM0', tree))


# --- the servos, on the simulated bus -----------------------------------------------------------


@pytest.fixture
def robot():
    whole = load_robot('sim_face')
    return replace(whole, joints=(whole.joints[0], whole.joints[9]), coupled_limits=())


@pytest.fixture
def line(robot):
    with SimulatedPort(SimulatedBus(simulated_servos(robot)), PseudoTerminal()) as line:
        yield line


def findings(robot, line):
    return {f.subject: f for f in check_servos(robot, line.device)}


def test_every_servo_is_reported_with_model_firmware_voltage_and_heat(robot, line):
    found = findings(robot, line)
    assert [name for name, finding in found.items() if finding.level != OK] == ['bus watchdog']
    assert 'last goal' in found['bus watchdog'].sentence  # the jaw is of the 330 size
    sentence = found['servo 1 (jaw)'].sentence
    assert 'XL330-M288, firmware 5' in sentence and ' V, ' in sentence and '°C' in sentence
    assert '100 Hz fits' in found['bus time'].sentence


@pytest.mark.parametrize(
    ('faults', 'subject', 'level', 'words'),
    [
        (('dead 10',), 'servo 10 (neck_yaw)', ERROR, 'does not reply: check its cable'),
        (('supply 3',), 'servo 1 (jaw)', ERROR, 'check the power supply'),
        (('supply 6.5 1',), 'servo 1 (jaw)', ERROR, 'needs 3.7 to 6 V'),
        (('supply 3.9 1',), 'servo 1 (jaw)', WARN, 'made for 5 V'),
        (('overload 1',), 'servo 1 (jaw)', ERROR, 'overload. Take the cause away'),
        (('silence',), 'servos', ERROR, 'no servo replies at any speed: is the servo power on'),
    ],
)
def test_what_is_wrong_with_a_servo_says_what_to_do(
    robot, line, monkeypatch, faults, subject, level, words
):
    monkeypatch.setattr(servos, 'BAUD_RATES', {1: 57_600, 3: 1_000_000})  # each takes a second
    for fault in faults:
        apply_fault(fault, line)
    finding = findings(robot, line)[subject]
    assert finding.level == level
    assert words in finding.sentence


def test_a_wrong_model_a_stranger_and_late_replies_are_reported(robot, line):
    wrong = replace(
        robot, joints=(replace(robot.joints[0], model='XC330-T288', max_current_a=0.5),)
    )
    with line.lock:
        line.line.servos[1].registers.set('return_delay_time', 250)
    found = findings(wrong, line)
    assert 'is XL330-M288, the robot file says XC330-T288' in found['servo 1 (jaw)'].sentence
    assert found['servos'].level == WARN and 'XM430' in found['servos'].sentence
    assert 'up to 500 µs in 1 servos' in findings(robot, line)['return delay'].sentence


def test_a_servo_at_another_speed_is_found_there(robot, line, monkeypatch):
    assert set(servos.BAUD_RATES.values()) > {9_600, 57_600, 1_000_000, 4_500_000}
    # Of those, some and one beyond what the port can do: each takes a second or more.
    some = (57_600, 115_200, 1_000_000, 4_500_000)
    rates = {code: rate for code, rate in servos.BAUD_RATES.items() if rate in some}
    monkeypatch.setattr(servos, 'BAUD_RATES', rates)
    with line.lock:
        line.line.servos[1].registers.set('baud_rate', 1)
    finding = findings(robot, line)['servo 10 (neck_yaw)']
    assert finding.level == ERROR
    assert 'answers at 57600 bit/s, the robot file says 1000000' in finding.sentence


def test_narrow_limits_of_a_servo_keep_torque_off(robot, line):
    with line.lock:
        line.line.servos[1].registers.set('max_position_limit', 2100)
    finding = findings(robot, line)['servo 10 (neck_yaw)']
    assert finding.level == ERROR and 'narrower than limits_rad' in finding.sentence


def test_a_real_servo_without_a_commissioning_record_is_reported(robot, line, tmp_path):
    with line.lock:
        line.line.servos[1].registers.set('model_information', 0)  # real ones do not say SIM
    finding = findings(replace(robot, source=str(tmp_path / 'a.yaml')), line)[
        'servo 10 (neck_yaw)'
    ]
    assert finding.level == ERROR and 'is not commissioned' in finding.sentence


def test_what_another_program_left_in_a_servo_is_reported(robot, line):
    with line.lock:
        line.line.servos[1].registers.set('drive_mode', 1)
        line.line.servos[1].registers.set('homing_offset', 1000)
    sentence = findings(robot, line)['servo 10 (neck_yaw)'].sentence
    assert 'turns in reverse' in sentence and 'homing_offset of 1000' in sentence


def test_a_port_that_is_taken_is_reported(robot, line):
    from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus

    other = DynamixelBus(line.device, robot.baud)
    other.open()
    try:
        assert (
            'in use by another program' in findings(robot, line)[f'bus on {line.device}'].sentence
        )
    finally:
        other.close()
