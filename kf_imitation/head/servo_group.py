"""The joints of a robot on a bus: setup, torque, goals and state in rad, A and °C."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.bus import DeviceError, NoReplyError, ServoBus
from kf_imitation.actuators.bus_group import BusGroup
from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.actuators.dynamixel import units
from kf_imitation.actuators.dynamixel.host_tuning import GOOD_MS, latency_ms, latency_remedy
from kf_imitation.errors import BusError, ServoSetupError
from kf_imitation.head.commissioning import Commissioning
from kf_imitation.head.servo_inspection import (
    WATCHED_EEPROM,
    Inspection,
    decode,
    goal_current_raw,
    read_registers,
)
from kf_imitation.motion.joint_states import JointMeasurement
from kf_imitation.robot import JointConfig, RobotConfig
from kf_imitation.robot.model import PORTS_APART

Array = NDArray[np.float64]
REBOOT_TIMEOUT_S = 2.0
TORQUE_OFF_TRIES = 5
TORQUE_OFF_PAUSE_S = 0.02
GOALS_KEPT = 10  # a goal that was lost on the line leaves an older one in the servo
# What lies from ct.STATE_FIRST to ct.STATE_LAST of a servo.
STATE = np.dtype([('current', '<i2'), ('velocity', '<i4'), ('position', '<i4')])
RESULT_TEXT = {  # of Protocol 2.0
    1: 'it failed',
    4: 'the value is out of its range',
    6: "the value is beyond a limit of the servo's own",
    7: 'it is locked while torque is on, or cannot be written',
}


class ServoGroup:
    """Robot-level operations over a ServoBus; array order is that of the robot file.

    Attributes:
        robot: the head.
        bus: the line.
        warnings: what setup() found noteworthy, one sentence each.
        commissioning: what the owner settled, read anew by setup().
        expected: what each servo's registers hold as far as this program knows, by name.
    """

    def __init__(
        self, robot: RobotConfig, bus: ServoBus, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Use an opened bus; `pause` waits between tries (a no-op offline)."""
        self.robot = robot
        self.bus = bus
        self.warnings: list[str] = []
        self.commissioning = Commissioning(robot)
        self.expected: list[dict[str, int]] = [{} for _ in robot.joints]
        self._sent: list[deque[int]] = [deque(maxlen=GOALS_KEPT) for _ in robot.joints]
        self._pause = pause
        joints = robot.joints
        self._ids = robot.ids
        # What a register counts, as seen by each joint: its sign is the joint's direction.
        direction = np.array([j.direction for j in joints], np.float64)
        self._zero_tick = np.array([j.zero_tick for j in joints], np.float64)
        self._tick_rad = direction * units.RAD_PER_TICK
        self._speed_unit_rad_s = direction * units.VELOCITY_UNIT_RAD_S
        self._current_unit_a = direction * [units.current_unit_a(j.servo) for j in joints]
        self._max_current_a = np.array([j.max_current_a for j in joints], np.float64)
        table = joints[0].servo.registers
        self._goal_address = table['goal_position'].address
        first, last = table[ct.STATE_FIRST], table[ct.STATE_LAST]
        self._state_address = first.address
        self._state_length = last.address + last.size - first.address

    def read_register(self, index: int, name: str) -> int:
        """Return a register of one joint's servo."""
        joint = self.robot.joints[index]
        register = joint.servo.registers[name]
        data = self.bus.read(joint.id, register.address, register.size)
        return units.unpack(data, register.signed)

    def write_register(self, index: int, name: str, value: int) -> None:
        """Write a register of one joint's servo, confirmed."""
        joint = self.robot.joints[index]
        register = joint.servo.registers[name]
        try:
            self.bus.write(joint.id, register.address, units.pack(value, register.size))
        except DeviceError as error:
            raise BusError(
                f'servo {joint.id} ({joint.name}) does not take {name} = {value}: '
                f'{RESULT_TEXT.get(error.code, str(error))}'
            ) from error
        self.expected[index][name] = value

    def verify(self) -> None:
        """Check that the servos of the robot file are there.

        Raises:
            ServoSetupError: with every missing id and every wrong model.
        """
        problems = []
        for joint in self.robot.joints:
            try:
                reply = self.bus.ping(joint.id)
            except NoReplyError:
                where = f' on bus {joint.bus}' if joint.bus else ''
                sentence = f'id {joint.id} ({joint.name}, {joint.model}) does not reply{where}'
                if isinstance(self.bus, BusGroup) and (other := self.bus.elsewhere(joint.id)):
                    sentence += f', but on bus {other}: are the two cables swapped?'
                problems.append(sentence)
                continue
            if reply.model_number != joint.servo.number:
                found = ct.model_name(reply.model_number)
                problems.append(
                    f'id {joint.id} ({joint.name}) is {found}, the robot file says {joint.model}'
                )
        if problems:
            raise ServoSetupError(f'{self.robot.name} on {self.bus.port}', problems)

    def let_answer(self, index: int) -> None:
        """Let a servo that answers pings only answer everything again (status_return_level).

        Raises:
            BusError: it does not answer all the same.
        """
        try:
            self.read_register(index, 'status_return_level')
        except NoReplyError:
            joint = self.robot.joints[index]
            address = joint.servo.registers['status_return_level'].address
            answer_all = bytes([joint.servo.initial('status_return_level')])
            self.bus.group_write(address, {joint.id: answer_all})
            self.read_register(index, 'status_return_level')
            self.warnings.append(f'servo {joint.id} ({joint.name}): was silent, and answers now')

    def inspect(self, index: int) -> Inspection:
        """Read what one servo's registers say, against the robot file and the record.

        A servo with a hardware error is restarted first: it would not take torque anyway.
        """
        joint = self.robot.joints[index]
        self.let_answer(index)
        if self.read_register(index, 'hardware_error_status'):
            self.reboot(index)
        values = read_registers(self.bus, joint)
        self.expected[index] = {name: values[name] for name in WATCHED_EEPROM if name in values}
        return self.commissioning.inspect(joint, values)

    def configure(self, index: int) -> None:
        """Bring the RAM of one inspected servo to what this program needs; torque may be on."""
        joint = self.robot.joints[index]
        if self.read_register(index, 'bus_watchdog'):
            self.write_register(index, 'bus_watchdog', 0)
        wanted = self.commissioning.gains(joint) | {
            'goal_pwm': self.expected[index]['pwm_limit'],
            'status_return_level': joint.servo.initial('status_return_level'),
        }
        for name, value in wanted.items():
            self.expected[index][name] = value
            was = self.read_register(index, name)
            if was != value:
                self.write_register(index, name, value)
                self.warnings.append(
                    f'servo {joint.id} ({joint.name}): {name} was {was} and is {value} now'
                )
        for name in ct.PROFILE:
            self.write_register(index, name, 0)
        self.limit_current(index, 1.0)

    def setup(self) -> None:
        """Verify, inspect and configure all servos.

        Raises:
            ServoSetupError: servos are missing, of the wrong model, or hold what the robot file
                or the commissioning record does not say; with all that differs.
            ConfigError: the record cannot be read.
            BusError: a servo does not take its settings.
        """
        self.warnings = []
        self.commissioning = Commissioning(self.robot)
        self.verify()
        errors = []
        for index, joint in enumerate(self.robot.joints):
            found = self.inspect(index)
            subject = f'servo {joint.id} ({joint.name})'
            errors += [f'{subject} {sentence}' for sentence in found.errors]
            self.warnings += [f'{subject} {sentence}' for sentence in found.warnings]
        if errors:
            raise ServoSetupError(f'{self.robot.name} on {self.bus.port}', errors)
        self.warnings += self.commissioning.warnings
        for index in range(len(self.robot.joints)):
            self.configure(index)
        for port in self.bus.port.split(PORTS_APART):
            latency = latency_ms(port)  # the bus asked for the shortest when it opened
            if latency is not None and latency > GOOD_MS:
                self.warnings.append(
                    f'the USB adapter keeps replies back for {latency} ms, which slows the bus '
                    f'down: {latency_remedy(port)}'
                )
        deaf = [j.name for j in self.robot.joints if not j.servo.watchdog_stops]
        if self.robot.watchdog_s and deaf:
            self.warnings.append(
                'if the computer fails in mid-motion, real servos of the 330 size keep moving '
                f'to their last goal (their Bus Watchdog does not stop them): {", ".join(deaf)}'
            )

    def limit_current(self, index: int, fraction: float) -> None:
        """Set the force limit to a fraction of the joint's max_current_a; no-op without one."""
        joint = self.robot.joints[index]
        if 'goal_current' in joint.servo.registers:
            self.write_register(index, 'goal_current', goal_current_raw(joint, fraction))

    def torque_on(self, indices: Sequence[int]) -> None:
        """Switch torque on without any motion: goal := present, read back, then torque.

        Raises:
            BusError: a goal or a torque did not arrive; the torque of these joints is off.
        """
        for index in indices:
            joint = self.robot.joints[index]
            if self.read_register(index, 'torque_enable'):
                continue  # it holds where it is; its goal is replaced by the first cycle
            present = self.read_register(index, 'present_position')
            try:
                self.write_register(index, 'goal_position', present)
            except BusError as error:
                raise BusError(self._beyond_own_limits(index, present) or str(error)) from error
            if self.read_register(index, 'goal_position') != present:
                raise BusError(f'servo {joint.id} ({joint.name}) does not take its goal')
            self.write_register(index, 'torque_enable', 1)
            if not self.read_register(index, 'torque_enable'):
                raise BusError(f'servo {joint.id} ({joint.name}) does not switch torque on')
            self._sent[index].append(present)

    def _beyond_own_limits(self, index: int, tick: int) -> str:
        """Return why a servo takes no goal there; '' if its own limits are not the reason."""
        joint = self.robot.joints[index]
        low = self.read_register(index, 'min_position_limit')
        high = self.read_register(index, 'max_position_limit')
        if low <= tick <= high:
            return ''
        angle, *ends = (
            units.position_rad(float(one), float(joint.zero_tick), float(joint.direction))
            for one in (tick, low, high)
        )
        return (
            f'servo {joint.id} ({joint.name}) is at {angle:.2f} rad, outside its own position '
            f'limits [{min(ends):.2f}, {max(ends):.2f}] rad, where it takes no goal: move it '
            'inside by hand, or widen them in the servo'
        )

    def torque_off(self, indices: Sequence[int] | None = None) -> list[str]:
        """Switch torque off and read it back, again and again until it is confirmed.

        Returns:
            Names of the joints that could not be confirmed.
        """
        left = list(range(len(self.robot.joints)) if indices is None else indices)
        address = self.robot.joints[0].servo.registers['torque_enable'].address
        with contextlib.suppress(BusError):  # everybody at once, then one by one with read-back
            self.bus.group_write(address, {self._ids[index]: b'\0' for index in left})
        for attempt in range(TORQUE_OFF_TRIES):
            if attempt:
                self._pause(TORQUE_OFF_PAUSE_S)
            left = [index for index in left if not self._torque_is_off(index)]
            if not left:
                return []
        return [self.robot.joints[index].name for index in left]

    def silent(self, names: Sequence[str]) -> list[JointConfig]:
        """Return those of some joints whose servos do not answer a ping."""
        found = []
        for joint in self.robot.joints:
            if joint.name in names:
                try:
                    self.bus.ping(joint.id)
                except NoReplyError:
                    found.append(joint)
        return found

    def _torque_is_off(self, index: int) -> bool:
        try:
            self.write_register(index, 'torque_enable', 0)
            torque, _ = self.read_torque(index)  # of a length of its own: no late reply fits
            return not torque
        except BusError:
            return False

    def arm_watchdog(self, indices: Sequence[int]) -> None:
        """Arm the Bus Watchdog and read it back; 0 s disarms.

        Raises:
            BusError: a servo did not take it.
        """
        wanted = units.watchdog_raw(self.robot.watchdog_s) if self.robot.watchdog_s else 0
        for index in indices:
            if self.read_register(index, 'bus_watchdog') == units.WATCHDOG_TRIPPED:
                self.write_register(index, 'bus_watchdog', 0)
            self.write_register(index, 'bus_watchdog', wanted)
            if self.read_register(index, 'bus_watchdog') != wanted:
                joint = self.robot.joints[index]
                raise BusError(f'servo {joint.id} ({joint.name}) does not arm its Bus Watchdog')

    def disarm_watchdog(self, indices: Sequence[int]) -> None:
        """Switch the Bus Watchdog off, as an exit that holds torque needs."""
        for index in indices:
            self.write_register(index, 'bus_watchdog', 0)

    def reboot(self, index: int) -> None:
        """Restart one servo and wait until it answers.

        Raises:
            NoReplyError: it did not come back.
        """
        joint: JointConfig = self.robot.joints[index]
        self.bus.reboot(joint.id)
        pauses = int(REBOOT_TIMEOUT_S / 0.1)
        for attempt in range(pauses):
            self._pause(0.1)
            try:
                self.bus.ping(joint.id)
                return
            except NoReplyError:
                if attempt == pauses - 1:
                    raise

    def read_state(self, active: Sequence[int], into: JointMeasurement) -> None:
        """Read position, speed, current and alert of the active joints in one exchange.

        Args:
            active: joint indices.
            into: their entries are replaced; all or, on an error, none.
        """
        ids = [self._ids[index] for index in active]
        replies = self.bus.group_read(self._state_address, self._state_length, ids)
        raw = np.frombuffer(b''.join([replies[i].data for i in ids]), STATE)
        at = np.asarray(active, np.intp)
        into.position_rad[at] = (raw['position'] - self._zero_tick[at]) * self._tick_rad[at]
        into.velocity_rad_s[at] = raw['velocity'] * self._speed_unit_rad_s[at]
        into.current_a[at] = raw['current'] * self._current_unit_a[at]
        into.alert[at] = [replies[i].alert for i in ids]

    def write_goals(self, active: Sequence[int], position_rad: Array) -> None:
        """Send the goals of the active joints in one packet; position_rad is (J,)."""
        goals = {}
        ticks = self._zero_tick + np.rint(position_rad / self._tick_rad)
        for index, tick in zip(active, ticks[active].astype(np.int64).tolist(), strict=True):
            self._sent[index].append(tick)
            goals[self._ids[index]] = tick.to_bytes(4, 'little', signed=True)
        self.bus.group_write(self._goal_address, goals)

    def hold(self, index: int) -> None:
        """Let one joint stay where it is: its goal is its present position."""
        present = self.read_register(index, 'present_position')
        self.write_register(index, 'goal_position', present)
        self._sent[index].append(present)

    def goal_of_another(self, index: int, tick: int) -> bool:
        """Whether a goal found in a servo is none of those that were sent lately."""
        return tick not in self._sent[index]

    def read_block(self, index: int, first: int, length: int) -> dict[str, int]:
        """Return the registers of one joint's servo that lie in a block of memory, by name."""
        joint = self.robot.joints[index]
        return decode(joint.servo, first, self.bus.read(joint.id, first, length))

    def current_limit_a(self) -> Array:
        """Return the force limit of each joint as it was last set, (J,)."""
        told = np.array([one.get('goal_current', 0) for one in self.expected])
        return np.where(told, told * np.abs(self._current_unit_a), self._max_current_a)

    def read_torque(self, index: int) -> tuple[bool, int]:
        """Return whether one joint's torque is on, and its hardware error bits."""
        joint = self.robot.joints[index]
        table = joint.servo.registers
        first = table['torque_enable'].address
        data = self.bus.read(joint.id, first, table['hardware_error_status'].address + 1 - first)
        return bool(data[0]), data[-1]

    def read_supply(self, index: int) -> tuple[float, float]:
        """Return voltage [V] and temperature [°C] of one joint's servo."""
        joint = self.robot.joints[index]
        data = self.bus.read(joint.id, joint.servo.registers['present_input_voltage'].address, 3)
        return units.unpack(data[:2]) * units.VOLTAGE_UNIT_V, float(data[2])

    def watchdog_tripped(self, index: int) -> bool:
        """Return whether one joint's servo stopped itself because the host was silent."""
        return self.read_register(index, 'bus_watchdog') == units.WATCHDOG_TRIPPED
