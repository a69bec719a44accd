"""Takes servos with a latched hardware error back in.

A Dynamixel servo keeps its Hardware Error Status, and refuses torque, until it is rebooted or
loses power (e-manual, Hardware Error Status and Shutdown). Rebooting while the cause lasts only
trips it again, so clearing looks first whether the cause is gone. Motion then begins at the
measured angle (ServoMonitor.revive).
"""

from kf_imitation.actuators.dynamixel.control_tables import hardware_error_text
from kf_imitation.errors import BusError
from kf_imitation.head.pending_confirmations import Answer
from kf_imitation.head.servo_monitor import OVERHEATING_ERROR, VOLTAGE_ERROR, ServoMonitor
from kf_imitation.motion.motion_generator import StallGuard


class Recovery:
    """One request to reboot, worked off in the bus thread."""

    def __init__(self, monitor: ServoMonitor, stalls: StallGuard, careful: bool) -> None:
        """Describe the request; check() carries it out.

        Args:
            monitor: knows the servos.
            stalls: ends the pauses of joints that pushed without moving.
            careful: reboot only servos with a hardware error whose cause is gone; otherwise
                every servo that has one or is out of service.
        """
        self._monitor = monitor
        self._stalls = stalls
        self._careful = careful
        self._released = ''
        self._rebooted: dict[int, str] | None = None
        self._left: list[str] = []

    @property
    def begun(self) -> bool:
        """Whether servos were asked already."""
        return self._rebooted is not None

    def check(self, running: bool, alerts: list[int]) -> Answer | None:
        """Reboot in the first call; answer once all of them are well again.

        Args:
            running: joints are taken in again after their reboot; false: the head is stopped.
            alerts: joints whose last packet carried the alert bit.
        """
        if self._rebooted is None:
            self._rebooted = {}
            released = sorted({*self._stalls.release(), *self._monitor.release()})
            self._released = ', '.join(self._monitor.name(i) for i in released)
            self._reboot(sorted({*self._monitor.reasons, *self._monitor.errors, *alerts}))
            if not self._rebooted and not self._left:
                return self._answer('no servo has a hardware error')
        waiting = [i for i in self._rebooted if not self._monitor.is_well(i, running)]
        if waiting:
            return None
        good = [f'{self._monitor.name(i)}: {was} cleared' for i, was in self._rebooted.items()]
        return self._answer(*self._left, *good)

    def _answer(self, *sentences: str) -> Answer:
        moving = [f'{self._released} may move again'] if self._released else []
        return Answer(not self._left, '; '.join([*sentences, *moving]))

    def why_not(self) -> str:
        """Say what the time ran out for."""
        waiting = [
            f'{self._monitor.name(i)}: {self._monitor.reasons.get(i, "does not come back")}'
            for i in self._rebooted or {}
            if i in self._monitor.reasons or i in self._monitor.errors
        ]
        return '; '.join(self._left + waiting) or 'no answer from the servos'

    def _reboot(self, suspects: list[int]) -> None:
        assert self._rebooted is not None
        for index in suspects:
            name = self._monitor.name(index)
            try:
                bits = self._monitor.hardware_error(index)
                cause = self._cause(index, bits) if self._careful else ''
                if cause:
                    self._left.append(f'{name}: {cause}')
                elif bits or not self._careful:
                    self._monitor.restart(index)
                    self._rebooted[index] = hardware_error_text(bits) or 'what was wrong'
            except BusError as error:
                self._left.append(f'{name}: {error}')

    def _cause(self, index: int, bits: int) -> str:
        """Return why the error would come back at once; '' if it would not."""
        if not bits:
            return ''
        volts, celsius = self._monitor.supply(index)
        if bits & OVERHEATING_ERROR and celsius >= self._monitor.rest_above_c:
            return (
                f'overheating, still {celsius:.0f} °C: let it cool below '
                f'{self._monitor.rest_above_c:g} °C'
            )
        if bits & VOLTAGE_ERROR and not self._monitor.supply_is_good(index):
            low, high = self._monitor.supply_range_v(index)
            return f'supply is {volts:.1f} V, must be from {low:g} to {high:g} V'
        return ''
