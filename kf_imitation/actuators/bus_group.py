"""Several lines of one head as one ServoBus: servo ids are unique in the head, a port gets lost.

The lines of a group read are asked one after the other and then heard, so that their servos answer
at the same time, in one thread. A line whose port is lost counts as one whose servos are silent;
it is opened again and again, and the other lines go on.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from kf_imitation.actuators.bus import BlockReply, NoReplyError, NotSentError, PingReply, ServoBus
from kf_imitation.errors import BusError, PortError

REOPEN_S = 0.5


class BusGroup:
    """ServoBus over several.

    Attributes:
        lines: by name.
        port: all their ports.
    """

    def __init__(self, lines: Mapping[str, ServoBus], places: Mapping[int, str]) -> None:
        """Open nothing yet.

        Args:
            lines: by name.
            places: name of the line by servo id; an id that is not there is looked for on all.
        """
        self.lines = dict(lines)
        self._places = dict(places)
        self._split: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}
        self._lost: dict[str, str] = {}  # why, by line
        self._reopen_at_s = 0.0
        self._ran = False  # all were open once

    @property
    def port(self) -> str:
        """What the user calls them."""
        return ' + '.join(dict.fromkeys(line.port for line in self.lines.values()))

    @property
    def misses(self) -> int:
        """Replies that were lost or damaged, on all lines."""
        return sum(line.misses for line in self.lines.values())

    def open(self) -> None:
        """Open all lines; once all were open, one is enough."""
        self._lost = {}
        for name, line in self.lines.items():
            try:
                line.open()
            except PortError as error:
                self._lost[name] = str(error)
        if self._lost and (not self._ran or len(self._lost) == len(self.lines)):
            self.close()
            raise PortError('; '.join(f'bus {name}: {why}' for name, why in self._lost.items()))
        self._ran = True

    def close(self) -> None:
        """Release all ports."""
        for line in self.lines.values():
            line.close()

    def shutdown(self) -> None:
        """Release all ports and what was started for them."""
        self._ran = False
        for line in self.lines.values():
            line.shutdown()

    def tick(self, now_s: float) -> None:
        """Tell all lines the time; open those again that were lost."""
        for name, line in self.lines.items():
            line.tick(now_s)
            if name in self._lost and now_s >= self._reopen_at_s:
                self._reopen_at_s = now_s + REOPEN_S
                line.close()
                with contextlib.suppress(PortError):
                    line.open()
                    del self._lost[name]

    def use_short_timeouts(self, in_cycle: bool) -> None:
        """Wait only briefly for the reply of one servo (in the cycle), or patiently (setup)."""
        for line in self.lines.values():
            line.use_short_timeouts(in_cycle)

    def ping(self, id_: int, tries: int = 3) -> PingReply:
        """Ask one servo for its model."""
        with self._on(self._name_of(id_)) as line:
            return line.ping(id_, tries)

    def scan(self) -> list[PingReply]:
        """Ask everybody on all lines."""
        found = [reply for replies in self.scan_lines().values() for reply in replies]
        return sorted(found, key=lambda reply: reply.id)

    def scan_lines(self) -> dict[str, list[PingReply]]:
        """Ask everybody; returns the answers by line."""
        found = {}
        for name in self.lines:
            with self._on(name) as line:
                found[name] = line.scan()
        return found

    def read(self, id_: int, address: int, length: int) -> bytes:
        """Return memory of one servo."""
        with self._on(self._name_of(id_)) as line:
            return line.read(id_, address, length)

    def write(self, id_: int, address: int, data: bytes) -> None:
        """Write memory of one servo and wait for its confirmation."""
        with self._on(self._name_of(id_)) as line:
            line.write(id_, address, data)

    def group_write(self, address: int, data: Mapping[int, bytes]) -> None:
        """Write on all lines, whatever becomes of one; its error comes at the end."""
        errors: list[BusError] = []
        unsent: list[int] = []
        for name, part in self._parts(tuple(data)).items():
            before = len(errors)
            with self._noting(errors), self._on(name) as line:
                line.group_write(address, {id_: data[id_] for id_ in part})
            if len(errors) > before:
                unsent += part
        if errors:
            raise NotSentError(str(errors[0]), unsent)

    def ask_ahead(self, address: int, length: int, ids: Iterable[int]) -> None:
        """Ask all lines."""
        for name, part in self._parts(tuple(ids)).items():
            with contextlib.suppress(NoReplyError), self._on(name) as line:
                line.ask_ahead(address, length, part)

    def group_read(self, address: int, length: int, ids: Iterable[int]) -> dict[int, BlockReply]:
        """Read on all lines at the same time; all servos, or an error once all were heard."""
        ids = tuple(ids)
        self.ask_ahead(address, length, ids)
        errors: list[BusError] = []
        found: dict[int, BlockReply] = {}
        for name, part in self._parts(ids).items():
            with self._noting(errors), self._on(name) as line:
                found |= line.group_read(address, length, part)
        if errors:
            raise errors[0]
        return found

    def reboot(self, id_: int) -> None:
        """Restart one servo."""
        with self._on(self._name_of(id_)) as line:
            line.reboot(id_)

    def factory_reset(self, id_: int, scope: int) -> None:
        """Reset the EEPROM of one servo."""
        with self._on(self._name_of(id_)) as line:
            line.factory_reset(id_, scope)

    def elsewhere(self, id_: int) -> str:
        """Return on which other line than its own a servo answers; '' for none."""
        for name, line in self.lines.items():
            if name != self._places.get(id_):
                with contextlib.suppress(BusError):
                    line.ping(id_, tries=1)
                    return name
        return ''

    def _parts(self, ids: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Return the ids by line; remembered, as a cycle asks three times for the same."""
        if ids not in self._split:
            names = dict.fromkeys(self._places[id_] for id_ in ids)
            self._split[ids] = {
                name: tuple(id_ for id_ in ids if self._places[id_] == name) for name in names
            }
        return self._split[ids]

    def _name_of(self, id_: int) -> str:
        """Return the line of a servo; of one that nobody placed, the line that it answers on."""
        if id_ in self._places:
            return self._places[id_]
        return self.elsewhere(id_) or next(iter(self.lines))

    @contextlib.contextmanager
    def _on(self, name: str) -> Iterator[ServoBus]:
        """Give a line; note when its port is lost, and count its servos as silent."""
        if name in self._lost:
            raise NoReplyError(f'bus {name}: {self._lost[name]}')
        try:
            yield self.lines[name]
        except PortError as error:
            self._lost[name] = str(error)
            self.lines[name].close()
            raise NoReplyError(f'bus {name}: {error}') from error

    @staticmethod
    @contextlib.contextmanager
    def _noting(errors: list[BusError]) -> Iterator[None]:
        try:
            yield
        except BusError as error:
            errors.append(error)
