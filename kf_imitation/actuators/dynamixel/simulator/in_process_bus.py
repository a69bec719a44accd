"""Simulated servos without packets and without real time: bit-deterministic, for offline runs."""

from collections.abc import Iterable, Mapping, Sequence

from kf_imitation.actuators.bus import BlockReply, DeviceError, NoReplyError, PingReply
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo


class InProcessBus:
    """ServoBus on simulated servos in this thread; time passes in tick() alone.

    Attributes:
        port: name for messages.
        servos: by id.
        silent: no servo replies (tests).
        misses: 0, nothing gets lost here.
    """

    def __init__(self, servos: Sequence[SimulatedServo]) -> None:
        self.port = 'direct'
        self.servos = {servo.id: servo for servo in servos}
        self.silent = False
        self.misses = 0
        self._now_s: float | None = None

    def open(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def shutdown(self) -> None:
        """Do nothing."""

    def tick(self, now_s: float) -> None:
        """Let the servos live until now_s; the first call sets the start."""
        if self._now_s is not None and now_s > self._now_s:
            for servo in self.servos.values():
                servo.step(now_s - self._now_s)
        self._now_s = now_s

    def use_short_timeouts(self, in_cycle: bool) -> None:
        """Do nothing."""

    def ping(self, id_: int, tries: int = 1) -> PingReply:
        """Ask one servo for its model."""
        servo = self._servo(id_)
        return PingReply(id_, servo.model.number, servo.registers.get('firmware_version'))

    def scan(self) -> list[PingReply]:
        """Ask everybody."""
        return [self.ping(id_) for id_ in sorted(self.servos) if self._answers(id_)]

    def read(self, id_: int, address: int, length: int) -> bytes:
        """Return memory of one servo."""
        data = self._servo(id_).read(address, length)
        if data is None:
            raise DeviceError(f'servo {id_}: no memory at {address}', 7)
        return data

    def write(self, id_: int, address: int, data: bytes) -> None:
        """Write memory of one servo."""
        if code := self._servo(id_).write(address, data):
            raise DeviceError(f'servo {id_}: writing at {address} gave error {code}', code)

    def group_write(self, address: int, data: Mapping[int, bytes]) -> None:
        """Write the same registers of several servos."""
        for id_, content in data.items():
            if self._answers(id_):
                servo = self.servos[id_]
                servo.hear()
                servo.write(address, content)

    def ask_ahead(self, address: int, length: int, ids: Iterable[int]) -> None:
        """Do nothing: replies take no time."""

    def group_read(self, address: int, length: int, ids: Iterable[int]) -> dict[int, BlockReply]:
        """Read the same registers of several servos."""
        return {
            id_: BlockReply(bool(self._servo(id_).alert), self.read(id_, address, length))
            for id_ in ids
        }

    def reboot(self, id_: int) -> None:
        """Restart one servo."""
        self._servo(id_).reboot()

    def factory_reset(self, id_: int, scope: int) -> None:
        """Reset the EEPROM of one servo."""
        if code := self._servo(id_).factory_reset(scope):
            raise DeviceError(f'servo {id_}: factory reset gave error {code}', code)

    def _answers(self, id_: int) -> bool:
        return not self.silent and id_ in self.servos and self.servos[id_].listening

    def _servo(self, id_: int) -> SimulatedServo:
        if not self._answers(id_):
            raise NoReplyError(f'servo {id_} does not reply')
        self.servos[id_].hear()
        return self.servos[id_]
