"""Watches the servos one by one next to the cycle: torque, errors, heat, voltage, who is there.

A joint that is silent, limp or in error is `down`: it gets no goals, and comes back from its
measured angle once its servo answers without error.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.bus import NoReplyError
from kf_imitation.actuators.dynamixel import units
from kf_imitation.actuators.dynamixel.control_tables import hardware_error_text
from kf_imitation.errors import BusError
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.motion.joint_states import JointMeasurement

REVIVE_S = 0.4  # between two attempts to take a joint back in
SILENT_IN_A_ROW = 3  # this many silent servos and no answer: the line is down
SILENT = 'does not reply'
VOLTAGE_ERROR = 1 << 0
OVERHEATING_ERROR = 1 << 2


class ServoMonitor:
    """Keeps track of every joint's servo.

    Attributes:
        reasons: why a joint is down, by index.
        errors: hardware errors of joints that move all the same, by index.
        temperature_c, voltage_v: (J,) float64, NaN until read.
    """

    def __init__(self, servos: ServoGroup) -> None:
        self._servos = servos
        self._names = servos.robot.names
        self._turn = 0
        self._next_revival_s = 0.0
        self._revival_turn = 0
        self._reboots: list[int] = []
        self.reasons: dict[int, str] = {}
        self.errors: dict[int, int] = {}
        self.temperature_c = np.full(len(self._names), np.nan)
        self.voltage_v = np.full(len(self._names), np.nan)

    @property
    def active(self) -> list[int]:
        """Joints that move."""
        return [i for i in range(len(self._names)) if i not in self.reasons]

    @property
    def down(self) -> list[int]:
        """Joints that do not."""
        return sorted(self.reasons)

    def all_present(self) -> None:
        """Start with all joints active."""
        self.reasons.clear()
        self.errors.clear()

    def all_down(self, reason: str) -> None:
        """Start with all joints to be taken in by revive()."""
        self.reasons = dict.fromkeys(range(len(self._names)), reason)

    def ask_reboot(self, index: int) -> None:
        """Restart a servo in the next poll()."""
        self._reboots.append(index)

    def sentences(self) -> list[str]:
        """Return one sentence per joint that is down or has an error."""
        both = sorted({*self.errors, *self.reasons})
        return [f'{self._names[i]}: {self.trouble(i)}' for i in both]

    def trouble(self, index: int) -> str:
        """Return why a joint is down, or its hardware error; '' if it is well."""
        if index in self.reasons:
            return self.reasons[index]
        return _error_text(self.errors[index]) if index in self.errors else ''

    def poll(self, now_s: float, present: JointMeasurement) -> list[int]:
        """Do this cycle's part of the monitoring: about one exchange.

        Args:
            now_s: controller time.
            present: of this cycle; entries of revived joints are set.

        Returns:
            Joints that came back, at rest in their measured angle.
        """
        for index in self._reboots:
            self.restart(index)
        self._reboots.clear()
        alerts = [i for i in self.active if present.alert[i] and i not in self.errors]
        if alerts:
            self._check_torque(alerts[0])
        elif self.active:
            self._routine()
        if self.reasons and now_s >= self._next_revival_s:
            self._next_revival_s = now_s + REVIVE_S
            down = self.down
            self._revival_turn += 1
            index = down[self._revival_turn % len(down)]
            if self.revive(index, present):
                return [index]
        return []

    def probe(self) -> bool:
        """Ask every active servo alone; the silent ones go down.

        Returns:
            Whether anybody answers.
        """
        silent: list[int] = []
        answers = 0
        for index in self.active:
            if self._answers(index):
                answers += 1
            else:
                silent.append(index)
            if not answers and len(silent) >= SILENT_IN_A_ROW:
                return False
        for index in silent:
            if not self._answers(index):
                self.reasons[index] = SILENT
        return answers > 0

    def _answers(self, index: int) -> bool:
        try:
            self._servos.bus.ping(self._servos.robot.joints[index].id, tries=1)
        except NoReplyError:
            return False
        return True

    def revive_all(self, present: JointMeasurement) -> bool:
        """Take in every joint that can be; true if there is at least one."""
        silent = 0
        for index in self.down:
            if self.revive(index, present):
                silent = 0
            elif self.reasons[index] == SILENT:
                silent += 1
            if silent >= SILENT_IN_A_ROW and not self.active:
                return False
        return bool(self.active)

    def revive(self, index: int, present: JointMeasurement) -> bool:
        """Take a joint in: configure, goal := present, torque on, watchdog armed.

        Returns:
            Whether it moves again; `present` then holds its angle. Otherwise `reasons` says why.
        """
        servos = self._servos
        joint = servos.robot.joints[index]
        try:
            reply = servos.bus.ping(joint.id, tries=1)
        except NoReplyError:
            self.reasons[index] = SILENT
            return False
        try:
            if reply.model_number != joint.servo.number:
                self.reasons[index] = f'is not {joint.model}'
                return False
            torque, error = servos.read_torque(index)
            if error == VOLTAGE_ERROR and self.supply_is_good(index):
                self.restart(index)  # the cause was outside the servo and is gone
                return False
            if error:
                self.reasons[index] = f'{_error_text(error)}; reboot it to go on'
                return False
            if torque and servos.watchdog_tripped(index):
                servos.torque_off([index])
            if differs := servos.inspect(index).errors:
                self.reasons[index] = '; '.join(differs)
                return False
            servos.configure(index)
            self._measure(index, present)
            servos.torque_on([index])
            servos.arm_watchdog([index])
        except BusError as failure:
            self.reasons[index] = str(failure)
            return False
        self.errors.pop(index, None)
        self.reasons.pop(index, None)
        return True

    def _measure(self, index: int, present: JointMeasurement) -> None:
        joint = self._servos.robot.joints[index]
        tick = self._servos.read_register(index, 'present_position')
        present.position_rad[index] = units.position_rad(
            float(tick), float(joint.zero_tick), float(joint.direction)
        )
        present.velocity_rad_s[index] = 0.0
        present.current_a[index] = 0.0
        present.alert[index] = False

    def name(self, index: int) -> str:
        """Return a joint's name."""
        return self._names[index]

    @property
    def rest_above_c(self) -> float:
        """Temperature from which joints do not move any more."""
        return self._servos.robot.thermal.rest_above_c

    def supply(self, index: int) -> tuple[float, float]:
        """Ask a servo for its voltage [V] and temperature [°C]."""
        return self._servos.read_supply(index)

    def supply_range_v(self, index: int) -> tuple[float, float]:
        """Return lowest and highest voltage of a joint's model."""
        table = self._servos.robot.joints[index].servo.registers
        low, high = table['min_voltage_limit'].initial, table['max_voltage_limit'].initial
        return low * units.VOLTAGE_UNIT_V, high * units.VOLTAGE_UNIT_V

    def supply_is_good(self, index: int) -> bool:
        """Ask a servo for its voltage and compare with its model's range."""
        low, high = self.supply_range_v(index)
        return low - 1e-9 <= self.supply(index)[0] <= high + 1e-9

    def hardware_error(self, index: int) -> int:
        """Ask a servo for its hardware error bits."""
        return self._servos.read_torque(index)[1]

    def is_well(self, index: int, running: bool) -> bool:
        """Whether a restarted servo is taken in again; while stopped: is without error."""
        if running:
            return index not in self.reasons and index not in self.errors
        try:
            return not self.hardware_error(index)
        except BusError:
            return False

    def restart(self, index: int) -> None:
        """Reboot a servo; it is taken in again once it answers.

        Raises:
            BusError: it does not confirm.
        """
        self.reasons[index] = 'is restarting'
        self._next_revival_s = 0.0
        self._servos.bus.reboot(self._servos.robot.joints[index].id)

    def _routine(self) -> None:
        """Read one thing of one joint; all of all joints take 3 J cycles."""
        kind, turn = self._turn % 3, self._turn // 3
        index = self.active[turn % len(self.active)]
        self._turn += 1
        if kind == 0:
            self._check_torque(index)
        elif kind == 1:
            self.voltage_v[index], self.temperature_c[index] = self._servos.read_supply(index)
        elif self._servos.watchdog_tripped(index):
            self.reasons[index] = 'stopped itself: the host was silent for too long'

    def _check_torque(self, index: int) -> None:
        torque, error = self._servos.read_torque(index)
        self.errors.pop(index, None)
        if torque and error:
            self.errors[index] = error
        if not torque:
            lost = f'{_error_text(error)}; reboot it to go on' if error else 'lost its torque'
            self.reasons[index] = lost


def _error_text(error: int) -> str:
    return f'hardware error: {hardware_error_text(error) or error}'


def names_of(indices: Sequence[int], names: Sequence[str]) -> str:
    """Return joint names for a sentence."""
    return ', '.join(names[i] for i in indices)


def unknown_as_text(values: NDArray[np.float64], unit: str) -> list[str]:
    """Return numbers with a unit, `?` where nothing was read."""
    return ['?' if np.isnan(v) else f'{v:.1f} {unit}' for v in values]
