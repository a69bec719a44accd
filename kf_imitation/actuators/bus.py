"""What the rest of the servo stage knows of a bus: numbered servos with memory, nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kf_imitation.errors import BusError


class NoReplyError(BusError):
    """A servo did not answer in time, or its answer was damaged."""


class NotSentError(NoReplyError):
    """Of what several servos were to get at once, not all went out.

    Attributes:
        ids: of the servos that got nothing.
    """

    def __init__(self, message: str, ids: Iterable[int]) -> None:
        super().__init__(message)
        self.ids = frozenset(ids)


class DeviceError(BusError):
    """A servo answered that it cannot do what was asked.

    Attributes:
        code: result code of Protocol 2.0, 1..7.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class PingReply:
    """Who answered a ping.

    Attributes:
        id: bus address.
        model_number: see control_tables.MODELS_BY_NUMBER.
        firmware: version.
    """

    id: int
    model_number: int
    firmware: int


@dataclass(frozen=True, slots=True)
class BlockReply:
    """One servo's part of a group read.

    Attributes:
        alert: a hardware error is set (register hardware_error_status names it).
        data: the bytes asked for.
    """

    alert: bool
    data: bytes


class ServoBus(Protocol):
    """A line with Dynamixel servos.

    Every method raises NoReplyError, DeviceError or PortError. read, write, ping and reboot try
    again a few times before they do; the group methods try once, for use in the cycle.

    Attributes:
        port: what the user calls it.
        misses: replies that were lost or damaged, though the exchange was repeated with success
            or is tried again in the next cycle. Asking whether somebody is there does not count.
    """

    @property
    def port(self) -> str: ...  # noqa: D102

    @property
    def misses(self) -> int: ...  # noqa: D102

    def open(self) -> None:
        """Open the port for this program alone; PortError says why not."""

    def close(self) -> None:
        """Release the port; may be called twice, and open() may follow."""

    def shutdown(self) -> None:
        """Release the port and everything that was started for it."""

    def tick(self, now_s: float) -> None:
        """Tell a bus without real time what time it is; others ignore it."""

    def use_short_timeouts(self, in_cycle: bool) -> None:
        """Wait only briefly for the reply of one servo (in the cycle), or patiently (setup)."""

    def ping(self, id_: int, tries: int = 3) -> PingReply:
        """Ask one servo for its model."""

    def scan(self) -> list[PingReply]:
        """Ask everybody; takes about a second on real lines."""

    def read(self, id_: int, address: int, length: int) -> bytes:
        """Return memory of one servo."""

    def write(self, id_: int, address: int, data: bytes) -> None:
        """Write memory of one servo and wait for its confirmation."""

    def group_write(self, address: int, data: Mapping[int, bytes]) -> None:
        """Write the same registers of several servos at once; no servo confirms.

        Raises:
            NotSentError: it did not go out to all; several lines are independent of each other.
        """

    def ask_ahead(self, address: int, length: int, ids: Iterable[int]) -> None:
        """Ask for a group_read() that comes next, if the line can."""

    def group_read(self, address: int, length: int, ids: Iterable[int]) -> dict[int, BlockReply]:
        """Read the same registers of several servos at once; all of them or an error."""

    def reboot(self, id_: int) -> None:
        """Restart one servo; it is deaf for a moment and has torque off after it."""

    def factory_reset(self, id_: int, scope: int) -> None:
        """Reset EEPROM: 0xFF all, 0x01 all but the id, 0x02 all but id and baud rate."""


def retry(tries: int, what: str) -> str:
    """Word the last failure of several tries."""
    return f'{what} ({tries} tries)' if tries > 1 else what
