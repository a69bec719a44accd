"""The simulated servos as the Dynamixel SDK sees them: its packet code is the client.

The SDK's port is replaced by one that hands bytes to the simulated line and lets time pass only
when told to, so that nothing here depends on how busy the machine is. The same over a real
terminal: test_serial_bus.py, and docs/simulator.md for programs of others.
"""

import pytest
from dynamixel_sdk import (
    BROADCAST_ID,
    COMM_RX_TIMEOUT,
    COMM_SUCCESS,
    GroupBulkRead,
    GroupBulkWrite,
    GroupSyncRead,
    GroupSyncWrite,
    PortHandler,
    Protocol2PacketHandler,
)

from kf_imitation.actuators.dynamixel.control_tables import MODELS
from kf_imitation.actuators.dynamixel.simulator import packet as p
from kf_imitation.actuators.dynamixel.simulator.bus import SimulatedBus
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo
from kf_imitation.actuators.dynamixel.units import from_raw

BAUD = 1_000_000
ALERT_TEXT = 0x80


class LinePort(PortHandler):
    """The SDK's port on a simulated line, without a terminal and without a clock."""

    def __init__(self, line):
        super().__init__('line')
        self.line, self.is_open, self.baudrate = line, True, BAUD
        self.tx_time_per_byte = 10_000.0 / BAUD
        self.sent, self._arrived = b'', b''
        self.spoil = bytes

    def clearPort(self):  # noqa: N802
        self._arrived = b''

    def writePort(self, packet):  # noqa: N802
        self.sent = self.spoil(bytes(packet))
        for reply in self.line.receive(self.sent, self.baudrate):
            self._arrived += reply.data
        return len(packet)

    def readPort(self, length):  # noqa: N802
        data, self._arrived = self._arrived[:length], self._arrived[length:]
        return data

    def getBytesAvailable(self):  # noqa: N802
        return len(self._arrived)

    def setPacketTimeout(self, packet_length):  # noqa: N802
        pass

    def setPacketTimeoutMillis(self, msec):  # noqa: N802
        pass

    def isPacketTimeout(self):  # noqa: N802
        return not self._arrived


class Client:
    """Short names for what the SDK does, by register name."""

    def __init__(self, *servos):
        self.line = SimulatedBus(servos)
        self.port = LinePort(self.line)
        self.sdk = Protocol2PacketHandler()

    def model(self, id_):
        return self.line.servo(id_).model

    def write(self, id_, name, value):
        """Return the error byte; fails when no servo replies."""
        size = self.model(id_).registers[name].size
        result, error = self.try_write(id_, name, value)
        assert result == COMM_SUCCESS, (name, size, self.sdk.getTxRxResult(result))
        return error

    def try_write(self, id_, name, value):
        register = self.model(id_).registers[name]
        kind = {1: 'write1ByteTxRx', 2: 'write2ByteTxRx', 4: 'write4ByteTxRx'}[register.size]
        return getattr(self.sdk, kind)(self.port, id_, register.address, value)

    def read(self, id_, name):
        register = self.model(id_).registers[name]
        kind = {1: 'read1ByteTxRx', 2: 'read2ByteTxRx', 4: 'read4ByteTxRx'}[register.size]
        value, result, _ = getattr(self.sdk, kind)(self.port, id_, register.address)
        assert result == COMM_SUCCESS, (name, self.sdk.getTxRxResult(result))
        return from_raw(value, register.size, register.signed)

    def set(self, id_, **values):
        for name, value in values.items():
            assert self.write(id_, name, value) == 0, name

    def wait(self, seconds):
        for _ in range(round(seconds * 100)):
            self.line.step(0.01)

    def instruction(self, id_, instruction, parameters=b''):
        """Send what the SDK has no method for; returns (error, result)."""
        packet = [0] * (10 + len(parameters))
        packet[4], packet[5], packet[7] = id_, 3 + len(parameters), instruction
        packet[8 : 8 + len(parameters)] = list(parameters)
        _, result, error = self.sdk.txRxPacket(self.port, packet)
        return error, result


def make(*models, **options):
    return Client(*(SimulatedServo(MODELS[m], i, **options) for i, m in enumerate(models, 1)))


@pytest.fixture
def one():
    return make('XM430-W350')


@pytest.fixture
def two():
    return make('XM430-W350', 'XL330-M288')


def test_ping_and_broadcast_ping(two):
    assert two.sdk.ping(two.port, 2) == (1200, COMM_SUCCESS, 0)
    assert two.sdk.ping(two.port, 3)[1] == COMM_RX_TIMEOUT
    found, result = two.sdk.broadcastPing(two.port)
    assert result == COMM_SUCCESS
    assert found == {1: [1020, 51], 2: [1200, 51]}


def test_read_and_write(one):
    one.set(1, led=1, torque_enable=1, goal_position=2300)
    one.wait(1.0)
    assert one.read(1, 'led') == 1
    assert abs(one.read(1, 'present_position') - 2300) <= 2


def test_reg_write_and_action(one):
    assert one.sdk.regWriteTxRx(one.port, 1, 65, 1, [1]) == (COMM_SUCCESS, 0)
    assert (one.read(1, 'led'), one.read(1, 'registered_instruction')) == (0, 1)
    one.sdk.action(one.port, BROADCAST_ID)
    assert (one.read(1, 'led'), one.read(1, 'registered_instruction')) == (1, 0)


def test_reboot(one):
    one.set(1, led=1)
    assert one.sdk.reboot(one.port, 1) == (COMM_SUCCESS, 0)
    assert one.sdk.ping(one.port, 1)[1] == COMM_RX_TIMEOUT
    one.wait(0.5)
    assert one.read(1, 'led') == 0


@pytest.mark.parametrize(
    ('option', 'id_', 'baud'), [(0xFF, 1, 57600), (0x01, 9, 57600), (0x02, 9, BAUD)]
)
def test_factory_resets(option, id_, baud):
    client = Client(SimulatedServo(MODELS['XM430-W350'], 9))
    client.set(9, return_delay_time=7)
    assert client.sdk.factoryReset(client.port, 9, option) == (COMM_SUCCESS, 0)
    client.wait(0.5)
    client.port.baudrate = baud
    assert client.sdk.ping(client.port, id_)[1] == COMM_SUCCESS
    assert client.read(id_, 'return_delay_time') == 250


def test_a_broadcast_cannot_reset_everything(two):
    two.set(1, return_delay_time=7)
    two.sdk.factoryReset(two.port, BROADCAST_ID, 0xFF)
    two.wait(0.5)
    assert two.read(1, 'return_delay_time') == 7


def test_clear_multi_turn(one):
    one.set(1, operating_mode=4, torque_enable=1, goal_position=9000)
    one.wait(4.0)
    assert one.read(1, 'present_position') > 8900
    one.set(1, torque_enable=0)
    one.wait(0.2)
    assert one.sdk.clearMultiTurn(one.port, 1) == (COMM_SUCCESS, 0)
    assert one.read(1, 'present_position') == pytest.approx(9000 - 2 * 4096, abs=5)


def test_clear_with_torque_on_stays_where_it_is(one):
    one.set(1, operating_mode=4, torque_enable=1, goal_position=9000)
    one.wait(4.0)
    assert one.sdk.clearMultiTurn(one.port, 1) == (COMM_SUCCESS, 0)
    one.wait(1.0)
    assert one.read(1, 'present_position') == pytest.approx(9000 - 2 * 4096, abs=5)


def test_clear_is_rejected_while_moving(one):
    one.set(1, operating_mode=1, torque_enable=1, goal_velocity=100)
    one.wait(0.5)
    assert one.sdk.clearMultiTurn(one.port, 1) == (COMM_SUCCESS, p.RESULT_FAIL)


@pytest.mark.parametrize('fast', [False, True])
def test_sync_write_and_read(two, fast):
    two.set(1, torque_enable=1)
    two.set(2, torque_enable=1)
    goals = GroupSyncWrite(two.port, two.sdk, 116, 4)
    for id_, goal in ((1, 2200), (2, 1900)):
        assert goals.addParam(id_, list(goal.to_bytes(4, 'little')))
    assert goals.txPacket() == COMM_SUCCESS
    two.wait(1.0)
    read = GroupSyncRead(two.port, two.sdk, 132, 4)
    assert read.addParam(1) and read.addParam(2)
    assert (read.fastSyncRead() if fast else read.txRxPacket()) == COMM_SUCCESS
    for id_, goal in ((1, 2200), (2, 1900)):
        assert read.isAvailable(id_, 132, 4)
        assert abs(read.getData(id_, 132, 4) - goal) <= 3


@pytest.mark.parametrize('fast', [False, True])
def test_bulk_write_and_read(two, fast):
    bulk = GroupBulkWrite(two.port, two.sdk)
    assert bulk.addParam(1, 65, 1, [1])
    assert bulk.addParam(2, 112, 4, [77, 0, 0, 0])
    assert bulk.txPacket() == COMM_SUCCESS
    read = GroupBulkRead(two.port, two.sdk)
    assert read.addParam(1, 65, 1) and read.addParam(2, 112, 4)
    assert (read.fastBulkRead() if fast else read.txRxPacket()) == COMM_SUCCESS
    assert (read.getData(1, 65, 1), read.getData(2, 112, 4)) == (1, 77)


@pytest.mark.parametrize(('level', 'answers'), [(0, 'ping'), (1, 'ping read'), (2, 'all')])
def test_status_return_level(one, level, answers):
    one.try_write(1, 'status_return_level', level)
    assert one.sdk.ping(one.port, 1)[1] == COMM_SUCCESS
    read = one.sdk.read1ByteTxRx(one.port, 1, 65)[1]
    assert (read == COMM_SUCCESS) == (answers != 'ping')
    wrote = one.try_write(1, 'led', 1)[0]
    assert (wrote == COMM_SUCCESS) == (answers == 'all')
    assert one.line.servo(1).registers.get('led') == 1  # carried out all the same


def test_a_secondary_id_obeys_and_stays_silent(two):
    two.set(1, secondary_id=40)
    two.set(2, secondary_id=40)
    result, _ = two.sdk.write1ByteTxRx(two.port, 40, 65, 1)
    assert result == COMM_RX_TIMEOUT
    assert (two.read(1, 'led'), two.read(2, 'led')) == (1, 1)


def test_byte_stuffing(one):
    """FF FF FD inside the parameters, as a goal that holds these bytes.

    The SDK takes stuffing out, but sends none (4.1.0 drops what addStuffing() returns); the other
    direction is our own packet.
    """
    one.set(1, operating_mode=4)
    goal = int.from_bytes(b'\xff\xff\xfd\x00', 'little')
    stuffed = p.encode(1, p.WRITE, b'\x74\x00' + goal.to_bytes(4, 'little'))
    assert b'\xff\xff\xfd\xfd\x00' in stuffed
    one.line.receive(stuffed, BAUD)
    assert one.line.servo(1).registers.get('goal_position') == goal
    assert one.read(1, 'goal_position') == goal


def test_a_broken_checksum_is_answered_with_the_crc_error(one):
    one.port.spoil = lambda packet: packet[:-1] + bytes([packet[-1] ^ 1])
    assert one.try_write(1, 'led', 1) == (COMM_SUCCESS, p.CRC_ERROR)
    one.port.spoil = bytes
    assert one.read(1, 'led') == 0


@pytest.mark.parametrize(
    ('name', 'value', 'error'),
    [
        ('model_number', 1, p.ACCESS_ERROR),
        ('torque_enable', 7, p.RANGE_ERROR),
        ('operating_mode', 2, p.RANGE_ERROR),
        ('goal_position', 5000, p.LIMIT_ERROR),
        ('goal_velocity', 300, p.LIMIT_ERROR),
    ],
)
def test_result_codes(one, name, value, error):
    assert one.write(1, name, value) == error


def test_a_servo_without_current_control_rejects_current_modes():
    client = make('XL430-W250')
    assert client.write(1, 'operating_mode', 0) == p.RANGE_ERROR
    assert client.write(1, 'operating_mode', 5) == p.RANGE_ERROR
    assert client.write(1, 'operating_mode', 16) == 0


def test_unknown_instructions_and_lengths(one):
    assert one.instruction(1, 0x77)[0] == p.INSTRUCTION_ERROR
    assert one.sdk.writeTxRx(one.port, 1, 116, 2, [0, 0]) == (COMM_SUCCESS, p.LENGTH_ERROR)


def test_eeprom_is_locked_while_torque_is_on(one):
    one.set(1, torque_enable=1)
    assert one.write(1, 'homing_offset', 5) == p.ACCESS_ERROR
    one.set(1, torque_enable=0)
    assert one.write(1, 'homing_offset', 5) == 0


@pytest.mark.parametrize('slot', [1, 28, 29, 56])
def test_indirect_addresses_in_both_blocks(one, slot):
    one.set(1, **{f'indirect_address_{slot}': 65})
    one.set(1, **{f'indirect_data_{slot}': 1})
    assert (one.read(1, 'led'), one.read(1, f'indirect_data_{slot}')) == (1, 1)


def test_indirect_addresses_survive_a_change_of_mode_but_gains_do_not(one):
    one.set(1, indirect_address_1=65, position_p_gain=500, led=1)
    one.set(1, operating_mode=4)
    assert one.read(1, 'indirect_address_1') == 65
    assert (one.read(1, 'position_p_gain'), one.read(1, 'led')) == (800, 1)


def test_overload_shuts_down_alerts_and_asks_for_a_reboot(one):
    one.set(1, torque_enable=1, goal_position=2600)
    one.line.servo(1).physics.surroundings.blocked = True
    one.wait(2.0)
    assert one.sdk.ping(one.port, 1)[2] == ALERT_TEXT
    assert one.read(1, 'hardware_error_status') == 1 << 5
    assert one.write(1, 'torque_enable', 1) & 0x7F == p.RESULT_FAIL
    one.sdk.reboot(one.port, 1)
    one.wait(0.5)
    assert one.write(1, 'torque_enable', 1) == 0


def test_without_the_shutdown_bit_an_error_only_alerts(one):
    one.set(1, shutdown=0, torque_enable=1, goal_position=2600)
    one.line.servo(1).physics.surroundings.blocked = True
    one.wait(2.0)
    assert one.read(1, 'hardware_error_status') == 1 << 5
    assert one.read(1, 'torque_enable') == 1


def test_the_watchdog_stops_locks_goals_and_is_cleared(one):
    one.set(1, torque_enable=1, profile_velocity=20, goal_position=3500, bus_watchdog=10)
    one.wait(0.15)
    assert one.read(1, 'bus_watchdog') == 10  # that was an instruction: it starts anew
    one.wait(0.4)
    assert one.read(1, 'bus_watchdog') == 255
    before = one.read(1, 'present_position')
    one.wait(0.5)
    assert abs(one.read(1, 'present_position') - before) <= 2
    assert one.read(1, 'profile_velocity') == 0
    assert one.write(1, 'goal_position', 2100) == p.RANGE_ERROR
    one.set(1, bus_watchdog=0, goal_position=2100)


def test_the_watchdog_sleeps_while_torque_is_off(one):
    one.set(1, bus_watchdog=5)
    one.wait(1.0)
    assert one.read(1, 'bus_watchdog') == 5


def test_several_baud_rates_share_a_line(two):
    two.set(2, baud_rate=4)
    two.port.baudrate = 2_000_000
    assert two.sdk.ping(two.port, 2)[1] == COMM_SUCCESS
    assert two.sdk.ping(two.port, 1)[1] == COMM_RX_TIMEOUT
    two.port.baudrate = BAUD
    assert two.sdk.ping(two.port, 1)[1] == COMM_SUCCESS


def test_a_backup_is_kept_and_restored(one):
    assert one.read(1, 'backup_ready') == 0
    one.set(1, return_delay_time=3, position_p_gain=555, indirect_address_1=65)
    assert one.instruction(1, p.BACKUP, b'\x01CTRL') == (0, COMM_SUCCESS)
    one.set(1, return_delay_time=90)
    assert one.read(1, 'backup_ready') == 1
    assert one.instruction(1, p.BACKUP, b'\x02CTRL') == (0, COMM_SUCCESS)
    one.wait(0.5)
    assert (one.read(1, 'return_delay_time'), one.read(1, 'position_p_gain')) == (3, 800)
    assert one.read(1, 'backup_ready') == 1


def test_a_backup_needs_its_key_torque_off_and_something_to_restore(one):
    assert one.instruction(1, p.BACKUP, b'\x01XXXX')[0] == p.RESULT_FAIL
    assert one.instruction(1, p.BACKUP, b'\x02CTRL')[0] == p.RESULT_FAIL
    one.set(1, torque_enable=1)
    assert one.instruction(1, p.BACKUP, b'\x01CTRL')[0] == p.RESULT_FAIL


def test_startup_configuration_restores_ram_and_switches_torque_on(one):
    one.set(1, startup_configuration=3, position_p_gain=555)
    one.instruction(1, p.BACKUP, b'\x01CTRL')
    one.sdk.reboot(one.port, 1)
    one.wait(0.5)
    assert (one.read(1, 'position_p_gain'), one.read(1, 'torque_enable')) == (555, 1)
    assert one.read(1, 'present_position') == pytest.approx(2048, abs=1)


def test_pwm_mode_turns_as_fast_as_the_voltage_lets_it(one):
    one.set(1, operating_mode=16, torque_enable=1)
    one.wait(0.3)
    assert one.read(1, 'present_velocity') == 0  # nothing moves until it is asked to
    one.set(1, goal_pwm=442)
    one.wait(1.0)
    half = one.read(1, 'present_velocity')
    one.set(1, goal_pwm=885)
    one.wait(1.0)
    full = one.read(1, 'present_velocity')
    assert half == pytest.approx(full / 2, rel=0.1)
    assert full * 0.229 == pytest.approx(46, rel=0.1)  # no-load speed of the data sheet [rev/min]
    one.set(1, goal_pwm=-885)
    one.wait(1.0)
    assert one.read(1, 'present_velocity') < -0.9 * full


def test_current_mode_pushes_as_told(one):
    one.set(1, operating_mode=0, torque_enable=1)
    one.line.servo(1).physics.surroundings.blocked = True
    one.set(1, goal_current=200)
    one.wait(0.2)
    assert one.read(1, 'present_current') == pytest.approx(200, abs=1)
    one.set(1, goal_current=-100)
    one.wait(0.2)
    assert one.read(1, 'present_current') == pytest.approx(-100, abs=1)


def test_current_based_position_is_limited_by_goal_current(one):
    one.set(1, operating_mode=5, torque_enable=1, goal_current=80, goal_position=2600)
    one.line.servo(1).physics.surroundings.blocked = True
    one.wait(0.2)
    assert one.read(1, 'present_current') == pytest.approx(80, abs=1)


def test_extended_position_takes_many_turns(one):
    one.set(1, operating_mode=4, torque_enable=1, goal_position=-6000)
    one.wait(4.0)
    assert one.read(1, 'present_position') == pytest.approx(-6000, abs=3)


def test_velocity_mode_speeds_up_by_the_profile_acceleration(one):
    one.set(1, operating_mode=1, torque_enable=1, profile_acceleration=20, goal_velocity=150)
    one.wait(0.3)
    early = one.read(1, 'present_velocity') * 0.229
    assert early == pytest.approx(20 * 214.577 / 60 * 0.3, rel=0.1)  # rev/min²: per minute
    one.wait(0.5)
    assert one.read(1, 'present_velocity') == pytest.approx(150, abs=4)


def test_a_time_based_profile_takes_its_time_whatever_the_way(one):
    one.set(1, drive_mode=4, torque_enable=1, profile_velocity=1000, profile_acceleration=250)
    for goal in (2248, 3048):
        start = one.read(1, 'present_position')
        one.set(1, goal_position=goal)
        one.wait(0.5)
        middle = one.read(1, 'position_trajectory')
        assert middle == pytest.approx((start + goal) / 2, abs=0.02 * abs(goal - start) + 2)
        one.wait(0.4)
        assert one.read(1, 'moving_status') & 2  # still under way after 0.9 s
        one.wait(0.15)
        assert not one.read(1, 'moving_status') & 2
        one.wait(0.3)
        assert one.read(1, 'moving_status') & 1


def test_moving_status_names_the_shape_of_the_profile(one):
    one.set(1, torque_enable=1)
    shapes = []
    for velocity, acceleration, goal in (
        (0, 0, 2148),
        (50, 0, 2048),
        (20, 200, 3000),
        (200, 2, 2900),
    ):
        one.set(1, profile_velocity=velocity, profile_acceleration=acceleration)
        one.set(1, goal_position=goal)
        one.wait(0.02)
        shapes.append(one.read(1, 'moving_status') >> 4)
        one.wait(6.0)
    assert shapes == [0, 1, 3, 2]  # step, rectangle, trapezium, triangle


def push(client, **gains):
    """Return the current of a stuck servo that is three ticks from its goal."""
    client.set(1, torque_enable=1, **gains)
    client.line.servo(1).physics.surroundings.blocked = True
    client.set(1, goal_position=2051)
    client.wait(0.3)
    return client.read(1, 'present_current')


def test_a_higher_p_gain_pushes_harder_for_the_same_error():
    soft, factory, stiff = (push(make('XM430-W350'), position_p_gain=g) for g in (400, 800, 1600))
    assert soft == pytest.approx(factory / 2, rel=0.05)
    assert stiff == pytest.approx(factory * 2, rel=0.05)


def test_an_i_gain_pushes_ever_harder():
    none, some = (push(make('XM430-W350'), position_i_gain=g) for g in (0, 1000))
    assert some > 1.2 * none


def test_a_higher_d_gain_damps():
    def overshoot(gain):
        client = make('XM430-W350')
        client.set(1, torque_enable=1, position_p_gain=3000, position_d_gain=gain)
        client.set(1, goal_position=2098)
        path = []
        for _ in range(40):
            client.wait(0.01)
            path.append(client.read(1, 'present_position'))
        return max(path) - 2098

    assert overshoot(8000) < overshoot(0)


def test_goal_pwm_bounds_the_position_loop(one):
    one.set(1, torque_enable=1, goal_pwm=89, goal_position=2600)
    one.line.servo(1).physics.surroundings.blocked = True
    one.wait(0.2)
    stall = 2.3 / 0.00269
    assert one.read(1, 'present_current') == pytest.approx(stall * 89 / 885, rel=0.06)


def test_torque_on_by_goal(one):
    one.set(1, drive_mode=8, goal_position=2200)
    assert one.read(1, 'torque_enable') == 1
    one.wait(1.0)
    assert one.read(1, 'present_position') == pytest.approx(2200, abs=2)


def test_a_reboot_forgets_the_turns(one):
    one.set(1, operating_mode=4, torque_enable=1, goal_position=6000)
    one.wait(3.0)
    one.sdk.reboot(one.port, 1)
    one.wait(0.5)
    assert one.read(1, 'present_position') == pytest.approx(6000 - 4096, abs=3)
