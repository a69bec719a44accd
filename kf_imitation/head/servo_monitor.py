"""Watches the servos one by one next to the cycle: torque, errors, heat, voltage, who is there.

A joint that is silent, limp or in error is `down`: it gets no goals, and comes back from its
measured angle once its servo answers without error. One that does not follow its goals is down
until somebody clears it. What another program does to the servos is said, put right, or stops the
head (register_patrol.py).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.bus import NoReplyError
from kf_imitation.actuators.dynamixel import units
from kf_imitation.actuators.dynamixel.control_tables import hardware_error_text
from kf_imitation.errors import BusError
from kf_imitation.head.register_patrol import Finding, foreign_goal, patrol_eeprom, patrol_ram
from kf_imitation.head.servo_group import ServoGroup
from kf_imitation.motion.following import Deviation, FollowingMonitor
from kf_imitation.motion.joint_states import JointMeasurement

REVIVE_S = 0.4  # between two attempts to take a joint back in
SILENT_IN_A_ROW = 3  # this many silent servos and no answer: the line is down
SILENT = 'does not reply'
RESTARTING = 'is restarting'
RESTS = 'rests: coupled with'
TRIPPED = 'stopped itself: the host was silent for too long'
WAITS = 'waits until those it shares a limit with have stopped'
NOTE_S = 10.0  # what was put right is told for as long
VOLTAGE_ERROR = 1 << 0
OVERHEATING_ERROR = 1 << 2


class ServoMonitor:
    """Keeps track of every joint's servo.

    Attributes:
        active: joints that move.
        reasons: why a joint is down, by index.
        errors: hardware errors of joints that move all the same, by index.
        alarm: why the head must stop now; '' for nothing.
        following: which joints move oddly.
        temperature_c, voltage_v: (J,) float64, NaN until read.
    """

    def __init__(self, servos: ServoGroup) -> None:
        self._servos = servos
        self._names = servos.robot.names
        self._buses = [joint.bus for joint in servos.robot.joints]
        self._coupled: dict[int, set[int]] = {}  # rest until all of these move again
        self._turn = 0
        self._next_revival_s = 0.0
        self._revival_turn = 0
        self._reboots: list[int] = []
        self.following = FollowingMonitor(servos.robot)
        self._latched: set[int] = set()  # down until somebody clears them
        self._restarted: set[int] = set()  # because somebody asked for it
        self._answering: set[int] = set()  # of those that are down: they did when last asked
        self._news = '', -math.inf  # which joint came back by itself, told until when
        self._notes: dict[str, float] = {}  # sentence: until when it is told
        self._supplies: dict[int, str] = {}  # of the joints whose voltage is wrong now
        self._now_s = 0.0
        self.alarm = ''
        self.active = list(range(len(self._names)))
        self.reasons: dict[int, str] = {}
        self.errors: dict[int, int] = {}
        self.temperature_c = np.full(len(self._names), np.nan)
        self.voltage_v = np.full(len(self._names), np.nan)

    @property
    def down(self) -> list[int]:
        """Joints that do not."""
        return sorted(self.reasons)

    @property
    def coasting(self) -> list[int]:
        """Joints that are down, and may have torque and go on to their last goal."""
        return [
            index
            for index, reason in self.reasons.items()
            if reason in (SILENT, TRIPPED) or self._rests(index)
        ]

    def all_present(self) -> None:
        """Start with all joints active."""
        self.reasons.clear()
        self.active = list(range(len(self._names)))
        self.errors.clear()
        self._begin()

    def _begin(self) -> None:
        self._latched.clear()
        self._coupled.clear()
        self._answering.clear()
        self.following.forget()
        self.alarm = ''

    def all_down(self, reason: str) -> None:
        """Start with all joints to be taken in by revive()."""
        self._begin()
        self.reasons = dict.fromkeys(range(len(self._names)), reason)
        self.active = []

    def _put_down(self, index: int, reason: str) -> None:
        self.reasons[index] = reason
        self._note_active()

    def _note_active(self) -> None:
        self.active = [i for i in range(len(self._names)) if i not in self.reasons]

    @property
    def refusing(self) -> bool:
        """Whether a servo answers that was asked to come back, and is not fit to."""
        return not self._answering.isdisjoint(self.reasons)

    def ask_reboot(self, index: int) -> None:
        """Restart a servo in the next poll() or carry_out_reboots()."""
        self._reboots.append(index)

    def carry_out_reboots(self) -> None:
        """Restart the servos that somebody asked for.

        Raises:
            BusError: one does not confirm.
        """
        while self._reboots:
            self.restart(self._reboots[0])
            del self._reboots[0]

    def sentences(self) -> list[str]:
        """Return one sentence per joint that is down or has an error, and per silent bus."""
        if not (self.errors or self.reasons):
            return []
        silent = self._silent_buses()
        both = sorted({*self.errors, *self.reasons})
        said = [f'bus {bus}: none of its {count} servos replies' for bus, count in silent.items()]
        rest = [i for i in both if self._buses[i] not in silent]
        return said + [f'{self._names[i]}: {self.trouble(i)}' for i in rest]

    def _silent_buses(self) -> dict[str, int]:
        """Return how many servos each silent bus has, where there are several buses."""
        answering = {b for i, b in enumerate(self._buses) if self.reasons.get(i) != SILENT}
        return {bus: n for bus, n in Counter(self._buses).items() if bus and bus not in answering}

    def trouble(self, index: int) -> str:
        """Return why a joint is down, or its hardware error; '' if it is well."""
        if index in self.reasons:
            return self.reasons[index]
        return _error_text(self.errors[index]) if index in self.errors else ''

    def poll(
        self,
        now_s: float,
        present: JointMeasurement,
        commanded_rad: NDArray[np.float64],
        has_room: Callable[[int, float], bool],
        stopped: bool = False,
    ) -> list[int]:
        """Do this cycle's part of the monitoring: about one exchange.

        Args:
            now_s: controller time.
            present: of this cycle; entries of revived joints are set.
            commanded_rad: (J,), sent in this cycle.
            has_room: whether others that move can stop in time beside a joint at an angle.
            stopped: no torque goes on: what is down stays down.

        Returns:
            Joints that came back, at rest in their measured angle.
        """
        self._now_s = now_s
        self.carry_out_reboots()
        active = self.active
        deviations = self.following.update(
            now_s, commanded_rad, present, self._servos.current_limit_a(), active
        )
        alerts = [i for i in active if present.alert[i] and i not in self.errors]
        suspects = [i for i in active if self.following.suspects[i]]
        if alerts:
            self._check_torque(alerts[0])
        elif suspects:  # its registers may say why
            self._look_at(suspects[self._turn % len(suspects)])
        elif active:
            self._routine()
        for deviation in deviations:
            if deviation.joint not in self.reasons and not self.alarm:
                self._take_out(deviation)
        if self.reasons and not stopped and now_s >= self._next_revival_s:
            self._next_revival_s = now_s + REVIVE_S
            down = [i for i in self.down if self._is_to_be_tried(i)]
            if not down:
                return []
            self._revival_turn += 1
            index = down[self._revival_turn % len(down)]
            lost = self.reasons[index]
            if awaited := self._awaited(index):
                self._rest_until(index, awaited)
            elif self.revive(index, present, has_room):
                if index not in self._restarted:
                    until_s = now_s + NOTE_S
                    self._news = f'{self._names[index]}: {lost}; is taken in again', until_s
                self._restarted.discard(index)
                self._next_revival_s = now_s  # a whole bus may be back
                return [index]
        return []

    def look_before_goals(self) -> None:
        """Read the goal of a joint that moves oddly, before ours hides what another one sent.

        Raises:
            BusError: its servo does not answer.
        """
        odd = [i for i in self.active if self.following.suspects[i]]
        if odd:
            index = odd[self._turn % len(odd)]
            if alarm := foreign_goal(self._servos, index):
                self.alarm = f'{self._names[index]}: {alarm}'

    def probe(self) -> bool:
        """Ask every active servo alone; the silent ones go down, and all of a silent bus.

        Returns:
            Whether anybody answers.
        """
        silent: dict[str, list[int]] = {}
        alive: set[str] = set()
        for index in self.active:
            bus = self._buses[index]
            quiet = silent.setdefault(bus, [])
            given_up = bus not in alive and len(quiet) >= SILENT_IN_A_ROW
            if not given_up and self._answers(index):
                alive.add(bus)
            else:
                quiet.append(index)
        if not alive:
            return False
        for bus, quiet in silent.items():
            for index in quiet:
                if bus not in alive or not self._answers(index):
                    self._put_down(index, SILENT)
            if bus not in alive:
                self._rest_with(bus)
        return True

    def _rest_with(self, bus: str) -> None:
        """Let joints rest that are coupled with those of a silent bus, wherever these are."""
        for index in self.down:
            if self._buses[index] == bus and self._rests(index):
                self._put_down(index, SILENT)
        for limit in self._servos.robot.coupled_limits:
            members = [self._names.index(name) for name in limit.terms]
            gone = {i for i in members if self._buses[i] == bus}
            for index in set(members) - gone if gone else ():
                if index in self.active:
                    self._put_down(index, self._resting_for(gone))
                self._coupled.setdefault(index, set()).update(gone)

    def _resting_for(self, gone: Iterable[int]) -> str:
        return f'{RESTS} {names_of(sorted(gone), self._names)}, whose bus is lost'

    def _rests(self, index: int) -> bool:
        return self.reasons.get(index, '').startswith(RESTS)

    def _awaited(self, index: int) -> list[int]:
        """Return the joints of lost buses that one waits for; not those that wait themselves."""
        coupled = self._coupled.get(index, set())
        return [i for i in coupled if i in self.reasons and not self._rests(i)]

    def _is_to_be_tried(self, index: int) -> bool:
        waits = self._rests(index) and self._awaited(index)
        return index not in self._latched and not waits

    def _rest_until(self, index: int, awaited: list[int]) -> None:
        """Note that a joint waits, once it answers, so that two never wait for each other."""
        if self.reasons[index] in (SILENT, RESTARTING) and self._answers(index):
            self._put_down(index, self._resting_for(awaited))
            self._next_revival_s = self._now_s

    def _answers(self, index: int) -> bool:
        try:
            self._servos.bus.ping(self._servos.robot.joints[index].id, tries=1)
        except NoReplyError:
            return False
        return True

    def revive_all(self, present: JointMeasurement) -> bool:
        """Take in every joint that can be; true if there is at least one."""
        silent: Counter[str] = Counter()
        alive: set[str] = set()
        for index in self.down:
            bus = self._buses[index]
            if bus not in alive and silent[bus] >= SILENT_IN_A_ROW:
                self._put_down(index, SILENT)
            elif self.revive(index, present):
                alive.add(bus)
            else:
                silent[bus] += self.reasons[index] == SILENT
        for bus in set(+silent) - alive if alive else ():
            self._rest_with(bus)
        return bool(self.active)

    def revive(
        self,
        index: int,
        present: JointMeasurement,
        has_room: Callable[[int, float], bool] | None = None,
    ) -> bool:
        """Take a joint in: configure, goal := present, torque on, watchdog armed.

        Args:
            index: which one.
            present: once it was measured, this holds its angle.
            has_room: as in poll(); None where all others are at rest.

        Returns:
            Whether it moves again. Otherwise `reasons` says why.
        """
        servos = self._servos
        joint = servos.robot.joints[index]
        self._answering.discard(index)
        try:
            reply = servos.bus.ping(joint.id, tries=1)
        except NoReplyError:
            self._put_down(index, SILENT)
            return False
        self._answering.add(index)
        try:
            if reply.model_number != joint.servo.number:
                self._put_down(index, f'is not {joint.model}')
                return False
            servos.let_answer(index)
            torque, error = servos.read_torque(index)
            if error == VOLTAGE_ERROR and self.supply_is_good(index):
                self.restart(index)  # the cause was outside the servo and is gone
                return False
            if error:
                self._put_down(index, f'{_error_text(error)}; reboot it to go on')
                return False
            if torque and servos.watchdog_tripped(index):
                servos.torque_off([index])
            if differs := servos.inspect(index).errors:
                self._put_down(index, '; '.join(differs))
                return False
            servos.configure(index)
            self._measure(index, present)
            if has_room is not None and not has_room(index, float(present.position_rad[index])):
                self._put_down(index, WAITS)
                return False
            servos.torque_on([index])
            servos.arm_watchdog([index])
        except BusError as failure:
            self._put_down(index, str(failure))
            return False
        self.errors.pop(index, None)
        self.reasons.pop(index, None)
        self._coupled.pop(index, None)
        self._note_active()
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
        self._restarted.add(index)
        self._put_down(index, RESTARTING)
        self._next_revival_s = 0.0
        self._servos.bus.reboot(self._servos.robot.joints[index].id)

    def release(self) -> list[int]:
        """Let joints that did not follow try again, as somebody says that the cause is gone.

        Returns:
            Those joints.
        """
        released = sorted(self._latched)
        self._latched.clear()
        self._next_revival_s = 0.0
        return released

    @property
    def latest(self) -> str:
        """Which joint came back by itself of late; '' for none."""
        sentence, until_s = self._news
        return sentence if self._now_s < until_s else ''

    @property
    def notes(self) -> list[str]:
        """What supplies are wrong and what happened of late, one sentence each."""
        supplies = [self._supplies[index] for index in self.active if index in self._supplies]
        return supplies + [text for text, until_s in self._notes.items() if self._now_s < until_s]

    def _note(self, index: int, sentence: str) -> None:
        self._notes = {text: until for text, until in self._notes.items() if self._now_s < until}
        self._notes[f'{self._names[index]}: {sentence}'] = self._now_s + NOTE_S

    def _routine(self) -> None:
        """Read one thing of one joint; all of all joints take 3 J cycles."""
        kind, turn = self._turn % 3, self._turn // 3
        index = self.active[turn % len(self.active)]
        self._turn += 1
        if kind == 0:
            self._check_torque(index)
        elif kind == 1:
            self._check_supply(index)
        else:
            self._judge(index, patrol_eeprom(self._servos, index))

    def _look_at(self, index: int) -> None:
        """Read everything of a joint whose motion is odd."""
        self._turn += 1
        self._judge(index, patrol_eeprom(self._servos, index))
        if not self.alarm:
            self._check_torque(index)

    def _check_supply(self, index: int) -> None:
        volts, celsius = self._servos.read_supply(index)
        self.voltage_v[index], self.temperature_c[index] = volts, celsius
        low, high = self._servos.robot.joints[index].servo.supply_v
        if low - 1e-9 <= volts <= high + 1e-9:
            self._supplies.pop(index, None)
        else:
            self._supplies[index] = (
                f'{self._names[index]}: gets {volts:.1f} V, must be from {low:g} to {high:g} V'
            )

    def _check_torque(self, index: int) -> None:
        """Read torque, errors and what else another program may have changed in RAM."""
        self._judge(index, patrol_ram(self._servos, index))

    def _judge(self, index: int, found: Finding) -> None:
        for note in found.notes:
            self._note(index, note)
        if found.alarm:
            self.alarm = f'{self._names[index]}: {found.alarm}'
        if found.lost:
            self._put_down(index, found.alarm)
            self._servos.torque_off([index])
            return
        self.errors.pop(index, None)
        if found.torque and found.error:
            self.errors[index] = found.error
        if not found.torque:
            error = found.error
            lost = f'{_error_text(error)}; reboot it to go on' if error else 'lost its torque'
            self._put_down(index, lost)
        elif found.tripped:
            self._put_down(index, TRIPPED)

    def _take_out(self, deviation: Deviation) -> None:
        """Let a joint that does not follow rest, until somebody clears it."""
        index = deviation.joint
        self._put_down(index, f'{deviation.sentence}; rests until servo/clear_error')
        self._latched.add(index)
        if deviation.holds or self._servos.robot.stop == 'hold':
            self._servos.hold(index)
        elif self._servos.torque_off([index]):
            self.reasons[index] += ', torque off is not confirmed'


def _error_text(error: int) -> str:
    return f'hardware error: {hardware_error_text(error) or error}'


def names_of(indices: Sequence[int], names: Sequence[str]) -> str:
    """Return joint names for a sentence."""
    return ', '.join(names[i] for i in indices)


def unknown_as_text(values: NDArray[np.float64], unit: str) -> list[str]:
    """Return numbers with a unit, `?` where nothing was read."""
    return ['?' if np.isnan(v) else f'{v:.1f} {unit}' for v in values]
