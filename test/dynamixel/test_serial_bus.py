import contextlib
import subprocess
import sys

import pytest

from benchmark.virtual_head import VirtualHead
from kf_imitation.actuators.bus import DeviceError, NoReplyError
from kf_imitation.actuators.dynamixel.serial_bus import DynamixelBus
from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK
from kf_imitation.errors import PortError, ServoSetupError
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.motion.joint_states import JointMeasurement


def test_a_ping_reports_model_and_firmware(rig):
    reply = rig.bus().ping(1)
    assert (reply.model_number, reply.firmware) == (1200, 51)


def test_a_scan_finds_every_servo(head):
    assert [reply.id for reply in head.bus().scan()] == list(range(1, 14))


def test_a_value_written_is_read_back(rig):
    bus = rig.bus()
    bus.write(1, 116, (2100).to_bytes(4, 'little'))
    assert int.from_bytes(bus.read(1, 116, 4), 'little') == 2100


def test_a_lost_reply_is_asked_for_again(rig):
    bus = rig.bus()
    chances = iter([0.0, 1.0, 1.0])  # below the share: lost; above: arrives
    rig.line.faults.lost = 0.5
    rig.line.faults.rng.random = lambda: next(chances)
    assert bus.read(1, 7, 1) == b'\x01'
    assert rig.line.instructions == 3  # one of them shows that nothing older is on its way


def test_a_broken_checksum_is_asked_for_again(rig):
    bus = rig.bus()
    chances = iter([0.0, 1.0, 1.0])
    rig.line.faults.wrong_crc = 0.5
    rig.line.faults.rng.random = lambda: next(chances)
    assert bus.read(1, 7, 1) == b'\x01'


def test_garbage_before_a_reply_does_no_harm(rig):
    bus = rig.bus()
    rig.fault('noise 1')
    for _ in range(20):
        assert bus.read(1, 7, 1) == b'\x01'


@pytest.mark.parametrize('late_s', [0.03, 0.045, 0.06, 0.2])
def test_a_late_reply_never_passes_for_the_one_to_a_later_question(late_s):
    head = VirtualHead(joints=('jaw',))
    bus = head.controller.cycle.servos.bus
    bus.open()
    bus.use_short_timeouts(True)
    head.fault(f'slow {late_s}')
    servo = head.line.servos[0]
    for tick in range(2048, 2148, 5):  # somebody turns it all the while
        servo.physics.angle_rad = tick * RAD_PER_TICK
        with contextlib.suppress(NoReplyError):
            assert int.from_bytes(bus.read(servo.id, 132, 4), 'little') == tick
        with contextlib.suppress(NoReplyError):
            assert bus.group_read(132, 4, [servo.id])[servo.id].data[0] == tick % 256
    head.fault('normal')
    head.port.advance(head.port.now_s + late_s)
    assert int.from_bytes(bus.read(servo.id, 132, 4), 'little') == tick


def test_silence_names_servo_register_and_tries(rig):
    bus = rig.bus()
    rig.fault('silence')
    with pytest.raises(NoReplyError, match=r'4 bytes at 132 of servo 1.*3 tries'):
        bus.read(1, 132, 4)


def test_a_servo_that_is_not_there_does_not_answer(rig):
    with pytest.raises(NoReplyError, match='servo 77'):
        rig.bus().ping(77)


def test_a_rejected_value_is_a_device_error_and_not_repeated(rig):
    bus = rig.bus()
    before = rig.line.instructions
    with pytest.raises(DeviceError) as caught:
        bus.write(1, 64, b'\x07')
    assert caught.value.code == 4
    assert rig.line.instructions == before + 1


def test_eeprom_is_locked_while_torque_is_on(rig):
    bus = rig.bus()
    bus.write(1, 64, b'\x01')
    with pytest.raises(DeviceError) as caught:
        bus.write(1, 7, b'\x09')
    assert caught.value.code == 7


def test_group_reads_are_fast_where_the_firmware_can(rig):
    bus = rig.bus()
    replies = bus.group_read(132, 4, [1, 10])
    assert bus.fast is True
    assert {i: int.from_bytes(r.data, 'little') for i, r in replies.items()} == {1: 2048, 10: 2048}


def test_group_reads_fall_back_where_it_cannot(rig):
    bus = rig.bus()
    rig.fault('nofast')
    assert set(bus.group_read(132, 4, [1, 10])) == {1, 10}
    assert bus.fast is False


def test_a_group_read_shows_the_alert_of_a_servo(rig):
    bus = rig.bus()
    rig.fault('overload 10')
    replies = bus.group_read(132, 4, [1, 10])
    assert (replies[1].alert, replies[10].alert) == (False, True)


def test_a_group_read_with_a_silent_servo_fails_as_a_whole(rig):
    bus = rig.bus()
    rig.fault('dead 10')
    with pytest.raises(NoReplyError, match='1, 10'):
        bus.group_read(132, 4, [1, 10])


def test_missing_replies_are_counted_unless_somebody_asks_who_is_there(rig):
    bus = rig.bus()
    bus.read(1, 7, 1)
    rig.fault('silence')
    for exchange in (
        lambda: bus.read(1, 7, 1),  # three tries
        lambda: bus.group_read(132, 4, [1, 10]),
        lambda: bus.ping(1, tries=1),
    ):
        with pytest.raises(NoReplyError):
            exchange()
    assert bus.misses == 4


def test_a_group_write_reaches_all(rig):
    bus = rig.bus()
    bus.group_write(65, {1: b'\x01', 10: b'\x01'})
    assert bus.read(1, 65, 1) == bus.read(10, 65, 1) == b'\x01'


def test_a_port_that_is_not_there_says_so():
    with pytest.raises(PortError, match='does not exist'):
        DynamixelBus('/dev/no_such_port', 1_000_000).open()


def test_a_port_in_use_says_so(rig):
    first = rig.bus()
    with pytest.raises(PortError, match='in use'):
        rig.bus()
    first.close()
    rig.bus().close()


@pytest.mark.parametrize('locks', [True, False])
def test_another_program_on_the_device_is_named_whatever_name_it_knows(rig, tmp_path, locks):
    other_name = tmp_path / 'by-id'
    other_name.symlink_to(rig.port.device)
    text = f'import fcntl, os, sys; fd = os.open({str(other_name)!r}, os.O_RDWR | os.O_NOCTTY);'
    text += 'fcntl.flock(fd, fcntl.LOCK_EX);' * locks
    text += "print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, '-c', text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == 'open\n'
        with pytest.raises(PortError, match=f'in use by process {other.pid} .*python'):
            rig.bus()
        other.stdin.close()
        other.wait()
    rig.bus().close()


def test_a_pulled_cable_is_a_port_error(rig):
    bus = rig.bus()
    rig.fault('unplug')
    with pytest.raises(PortError, match='gone'):
        bus.read(1, 7, 1)


def test_a_servo_at_another_baud_rate_is_not_heard(rig):
    rig.line.servos[0].registers.set('baud_rate', 2)
    bus = rig.bus()
    with pytest.raises(NoReplyError):
        bus.ping(1)
    bus.close()
    slow = DynamixelBus(rig.port.device, 115200)
    slow.open()
    assert slow.ping(1).id == 1


def test_setup_lists_all_missing_and_all_wrong_servos_at_once(head):
    head.fault('dead 3')
    head.fault('dead 7')
    wrong = head.robot.joints[9].servo
    head.line.servos[0].model = wrong
    with pytest.raises(ServoSetupError) as caught:
        ServoGroup(head.robot, head.bus()).setup()
    faults = caught.value.faults
    assert len(faults) == 3
    assert 'id 1 (jaw) is XM430-W350, the robot file says XL330-M288' in faults
    assert any('id 3 (mouth_corner_right' in fault for fault in faults)
    assert any('id 7 (brow_right' in fault for fault in faults)


def test_setup_says_which_watchdogs_do_not_stop(rig):
    joints = ServoGroup(rig.robot, rig.bus())
    joints.setup()
    assert any('jaw' in warning and 'neck' not in warning for warning in joints.warnings)


def test_torque_goes_on_only_after_goal_is_present(rig):
    rig.line.servos[0].write(116, (2500).to_bytes(4, 'little'))  # a goal from another life
    joints = ServoGroup(rig.robot, rig.bus())
    joints.setup()
    joints.torque_on([0, 1])
    for id_ in (1, 10):
        order = [
            (r.register, r.value)
            for r in rig.log
            if r.id == id_ and r.register in ('goal_position', 'torque_enable')
        ]
        assert order[-2:] == [('goal_position', 2048), ('torque_enable', 1)]


def test_state_is_in_joint_units_and_directions(head):
    joints = ServoGroup(head.robot, head.bus())
    state = JointMeasurement.zeros(12)
    head.line.servos[2].physics.angle_rad += 0.1  # direction -1
    joints.read_state(range(12), state)
    assert state.position_rad[2] == pytest.approx(-0.1, abs=0.002)
    assert state.position_rad[3] == pytest.approx(0.0, abs=0.002)
