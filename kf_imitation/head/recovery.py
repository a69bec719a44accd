"""Takes servos with a latched hardware error back in.

A Dynamixel servo keeps its Hardware Error Status, and refuses torque, until it is rebooted or
loses power (e-manual, Hardware Error Status and Shutdown). Rebooting while the cause lasts only
trips it again, so clearing looks first whether the cause is gone. Motion then begins at the
measured angle (JointWatch.revive).
"""

from kf_imitation.actuators.dynamixel.control_tables import hardware_error_text
from kf_imitation.errors import BusError
from kf_imitation.head.pending_confirmations import Answer
from kf_imitation.head.servo_monitor import OVERHEATING_ERROR, VOLTAGE_ERROR, JointWatch


class Recovery:
    """One request to reboot, worked off in the bus thread."""

    def __init__(self, watch: JointWatch, careful: bool) -> None:
        """Prepare.

        Args:
            watch: knows the servos.
            careful: reboot only servos with a hardware error whose cause is gone; otherwise
                every servo that has one or is out of service.
        """
        self._watch = watch
        self._careful = careful
        self._rebooted: dict[int, str] | None = None
        self._left: list[str] = []

    def check(self, running: bool, alerts: list[int]) -> Answer | None:
        """Reboot in the first call; answer once all of them are well again.

        Args:
            running: joints are taken in again after their reboot; false: the head is stopped.
            alerts: joints whose last packet carried the alert bit.
        """
        if self._rebooted is None:
            self._rebooted = {}
            self._begin(sorted({*self._watch.reasons, *self._watch.errors, *alerts}))
            if not self._rebooted and not self._left:
                return Answer(True, 'no servo has a hardware error')
        waiting = [i for i in self._rebooted if not self._watch.is_well(i, running)]
        if waiting:
            return None
        good = [f'{self._watch.name(i)}: {was} cleared' for i, was in self._rebooted.items()]
        return Answer(not self._left, '; '.join(self._left + good))

    def why_not(self) -> str:
        """Say what the time ran out for."""
        waiting = [
            f'{self._watch.name(i)}: {self._watch.reasons.get(i, "does not come back")}'
            for i in self._rebooted or {}
            if i in self._watch.reasons or i in self._watch.errors
        ]
        return '; '.join(self._left + waiting) or 'no answer from the servos'

    def _begin(self, suspects: list[int]) -> None:
        assert self._rebooted is not None
        for index in suspects:
            name = self._watch.name(index)
            try:
                bits = self._watch.hardware_error(index)
                cause = self._cause(index, bits) if self._careful else ''
                if cause:
                    self._left.append(f'{name}: {cause}')
                elif bits or not self._careful:
                    self._watch.restart(index)
                    self._rebooted[index] = hardware_error_text(bits) or 'what was wrong'
            except BusError as error:
                self._left.append(f'{name}: {error}')

    def _cause(self, index: int, bits: int) -> str:
        """Return why the error would come back at once; '' if it would not."""
        if not bits:
            return ''
        volts, celsius = self._watch.supply(index)
        if bits & OVERHEATING_ERROR and celsius >= self._watch.rest_above_c:
            return (
                f'overheating, still {celsius:.0f} °C: let it cool below '
                f'{self._watch.rest_above_c:g} °C'
            )
        if bits & VOLTAGE_ERROR and not self._watch.supply_is_good(index):
            low, high = self._watch.supply_range_v(index)
            return f'supply is {volts:.1f} V, must be from {low:g} to {high:g} V'
        return ''
