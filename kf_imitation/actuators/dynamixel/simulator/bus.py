"""Several simulated servos on one line: bytes in, timed bytes out; pure, no clock, no port.

Answers every instruction of Protocol 2.0 as the e-manual says, at the speed of the line. A
servo that listens at another baud rate hears nothing. Where the manual leaves open what follows
after a silent servo in a group read, the chain ends there: the worst case for the host.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kf_imitation.actuators.dynamixel.control_tables import BITS_PER_BYTE, LAST_ID
from kf_imitation.actuators.dynamixel.simulator import packet as p
from kf_imitation.actuators.dynamixel.simulator.packet import BROADCAST_ID, Packet, Parser
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo
from kf_imitation.actuators.dynamixel.units import RETURN_DELAY_UNIT_S

PAUSE_S = 0.1  # a half packet older than this is forgotten


@dataclass(slots=True)
class BusFaults:
    """What goes wrong on the line; changed while it runs.

    Attributes:
        silent: no reply leaves (cable cut behind the adapter).
        deaf: no instruction arrives.
        wrong_crc: ratio of replies with a broken CRC, 0..1.
        noise: ratio of replies with garbage bytes in front, 0..1.
        lost: ratio of replies that vanish, 0..1.
        slow_s: extra delay of every reply.
        no_fast: firmware without fast reads.
        rng: source of chance, seeded.
    """

    silent: bool = False
    deaf: bool = False
    wrong_crc: float = 0.0
    noise: float = 0.0
    lost: float = 0.0
    slow_s: float = 0.0
    no_fast: bool = False
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    def spoil(self, reply: bytes) -> bytes:
        """Return what is left of a reply."""
        if self.silent or (self.lost and self.rng.random() < self.lost):
            return b''
        if self.wrong_crc and self.rng.random() < self.wrong_crc:
            reply = reply[:-1] + bytes([reply[-1] ^ 0x55])
        if self.noise and self.rng.random() < self.noise:
            reply = self.rng.randbytes(self.rng.randint(1, 12)) + reply
        return reply


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes a servo sends.

    Attributes:
        delay_s: after the last byte of the instruction, until the last byte of the reply.
        data: on the wire.
    """

    delay_s: float
    data: bytes


class SimulatedBus:
    """The bus.

    Attributes:
        servos: everything connected to it.
        faults: what goes wrong.
        instructions: packets heard, for statistics and tests.
    """

    def __init__(self, servos: Sequence[SimulatedServo], faults: BusFaults | None = None) -> None:
        self.servos = list(servos)
        self.faults = faults or BusFaults()
        self.instructions = 0
        self._parser = Parser()
        self._quiet_s = 0.0

    def step(self, duration_s: float) -> None:
        """Let time pass for all servos."""
        for servo in self.servos:
            servo.step(duration_s)
        self._quiet_s += duration_s
        if self._quiet_s > PAUSE_S and self._parser.pending:
            self._parser.reset()

    @property
    def at_rest(self) -> bool:
        """Whether time passes without changing anything but temperatures."""
        return all(servo.at_rest for servo in self.servos)

    def receive(self, data: bytes, baud: int) -> list[Reply]:
        """Take what the host sent at a baud rate; return the replies in order."""
        self._quiet_s = 0.0
        if self.faults.deaf:
            return []
        replies = []
        for packet in self._parser.feed(data):
            replies += self._handle(packet, baud)
        return replies

    def servo(self, id_: int) -> SimulatedServo:
        """Return the servo of an id; KeyError if there is none."""
        for servo in self.servos:
            if servo.id == id_:
                return servo
        raise KeyError(id_)

    def _handle(self, packet: Packet, baud: int) -> list[Reply]:
        if packet.instruction == p.STATUS:
            return []
        self.instructions += 1
        listeners = [s for s in self.servos if s.listening and s.baud == baud]
        for servo in listeners:
            servo.hear()
        group = _GROUP.get(packet.instruction)
        if group is not None and packet.valid:
            answers = group(self, packet, listeners)
        else:
            answers = self._single(packet, listeners)
        return self._timed(answers, baud)

    def _timed(self, answers: list[tuple[SimulatedServo, bytes]], baud: int) -> list[Reply]:
        replies = []
        elapsed = self.faults.slow_s
        for servo, data in answers:
            delay = servo.registers.get('return_delay_time') * RETURN_DELAY_UNIT_S
            elapsed += delay + len(data) * BITS_PER_BYTE / baud
            if spoilt := self.faults.spoil(data):
                replies.append(Reply(elapsed, spoilt))
        return replies

    def _single(
        self, packet: Packet, listeners: list[SimulatedServo]
    ) -> list[tuple[SimulatedServo, bytes]]:
        """Carry out an instruction for one servo, its shadows or everybody."""
        everybody = packet.id == BROADCAST_ID
        answers: list[tuple[SimulatedServo, bytes]] = []
        for servo in sorted(listeners, key=lambda s: s.id):
            own = servo.id == packet.id
            if not (own or everybody or _is_shadow(servo, packet.id)):
                continue
            if not packet.valid:
                if own:
                    answers.append((servo, _status(servo, p.CRC_ERROR)))
                continue
            level = servo.registers.get('status_return_level')
            id_before = servo.id
            error, data = _execute(servo, packet)
            ping = packet.instruction == p.PING
            wanted = ping or level == 2 or (level == 1 and packet.instruction == p.READ)
            if wanted and (own or (everybody and ping)):
                answers.append((servo, p.encode_status(id_before, error | servo.alert, data)))
        if len(answers) > 1 and not everybody:
            mixed = bytes(a & b for a, b in zip(answers[0][1], answers[1][1][2:], strict=False))
            return [(answers[0][0], mixed)]  # two servos with one id speak at once
        return answers

    def _sync_write(
        self, packet: Packet, listeners: list[SimulatedServo]
    ) -> list[tuple[SimulatedServo, bytes]]:
        address, length, rest = _span(packet.parameters)
        addressed = _by_address(listeners)
        for start in range(0, len(rest) - length, length + 1):
            data = rest[start + 1 : start + 1 + length]
            for servo in addressed.get(rest[start], ()):
                servo.write(address, data)
        return []

    def _bulk_write(
        self, packet: Packet, listeners: list[SimulatedServo]
    ) -> list[tuple[SimulatedServo, bytes]]:
        rest = packet.parameters
        addressed = _by_address(listeners)
        while len(rest) >= 5:
            address, length, tail = _span(rest[1:])
            for servo in addressed.get(rest[0], ()):
                if len(tail) >= length:
                    servo.write(address, tail[:length])
            rest = tail[length:]
        return []

    def _group_read(
        self, packet: Packet, listeners: list[SimulatedServo]
    ) -> list[tuple[SimulatedServo, bytes]]:
        fast = packet.instruction in (p.FAST_SYNC_READ, p.FAST_BULK_READ)
        if fast and self.faults.no_fast:
            return []
        answers: list[tuple[SimulatedServo, int, bytes]] = []
        requests = _requests(packet)
        by_id = {s.id: s for s in reversed(listeners)}  # of two with one id, the first
        for id_, address, length in requests:
            servo = by_id.get(id_)
            if servo is None or not servo.registers.get('status_return_level'):
                break
            data = servo.read(address, length)
            error = servo.alert | (0 if data is not None else p.ACCESS_ERROR)
            answers.append((servo, error, data or bytes(length)))
        if not fast:
            return [(s, p.encode_status(s.id, error, data)) for s, error, data in answers]
        total = 1 + sum(length + 4 for _, _, length in requests)
        if total + 7 > p.MAX_LENGTH:
            return []
        return _fast_packet(answers, total)


def _fast_packet(
    answers: list[tuple[SimulatedServo, int, bytes]], total: int
) -> list[tuple[SimulatedServo, bytes]]:
    """Return one status packet that several servos speak in turn, each with its CRC so far."""
    crc = 0
    parts: list[tuple[SimulatedServo, bytes]] = []
    for servo, error, data in answers:
        part = bytes([error, servo.id]) + data
        if not parts:
            head = p.HEADER + bytes([BROADCAST_ID]) + total.to_bytes(2, 'little')
            part = head + bytes([p.STATUS]) + part
        crc = p.crc16(part, crc)
        part += crc.to_bytes(2, 'little')
        crc = p.crc16(part[-2:], crc)
        parts.append((servo, part))
    return parts


def _requests(packet: Packet) -> list[tuple[int, int, int]]:
    """Return (id, address, length) of a sync or bulk read."""
    if packet.instruction in (p.SYNC_READ, p.FAST_SYNC_READ):
        address, length, ids = _span(packet.parameters)
        return [(id_, address, length) for id_ in ids]
    items = packet.parameters
    return [(items[i], *_span(items[i + 1 : i + 5])[:2]) for i in range(0, len(items) - 4, 5)]


def _span(data: bytes) -> tuple[int, int, bytes]:
    """Return address, length and what follows; zeros when the packet is too short."""
    return int.from_bytes(data[:2], 'little'), int.from_bytes(data[2:4], 'little'), data[4:]


def _is_shadow(servo: SimulatedServo, id_: int) -> bool:
    shadow = servo.registers.get('secondary_id')
    return shadow == id_ and shadow <= LAST_ID


def _by_address(listeners: list[SimulatedServo]) -> dict[int, list[SimulatedServo]]:
    """Return who takes what is written to an id: servos of that id, and their shadows."""
    addressed: dict[int, list[SimulatedServo]] = {}
    for servo in listeners:
        for id_ in {servo.id, servo.registers.get('secondary_id')}:
            if id_ == servo.id or _is_shadow(servo, id_):
                addressed.setdefault(id_, []).append(servo)
    return addressed


def _status(servo: SimulatedServo, error: int) -> bytes:
    return p.encode_status(servo.id, error | servo.alert)


def _execute(servo: SimulatedServo, packet: Packet) -> tuple[int, bytes]:
    """Return result code and data of an instruction to one servo."""
    data = packet.parameters
    if packet.instruction == p.PING:
        number = servo.model.number.to_bytes(2, 'little')
        return 0, number + bytes([servo.registers.get('firmware_version')])
    if packet.instruction == p.READ:
        if len(data) != 4:
            return p.LENGTH_ERROR, b''
        address, length, _ = _span(data)
        content = servo.read(address, length)
        return (p.ACCESS_ERROR, b'') if content is None else (0, content)
    if packet.instruction in (p.WRITE, p.REG_WRITE):
        if len(data) < 3:
            return p.LENGTH_ERROR, b''
        act = servo.write if packet.instruction == p.WRITE else servo.register_write
        return act(int.from_bytes(data[:2], 'little'), data[2:]), b''
    if packet.instruction == p.ACTION:
        return servo.action(), b''
    if packet.instruction == p.REBOOT:
        servo.reboot()
        return 0, b''
    if packet.instruction == p.FACTORY_RESET:
        everybody_all = packet.id == BROADCAST_ID and data[:1] == b'\xff'
        return (
            p.RESULT_FAIL if everybody_all else servo.factory_reset(data[0] if data else 0)
        ), b''
    if packet.instruction == p.CLEAR:
        return servo.clear(data), b''
    if packet.instruction == p.BACKUP:
        return servo.backup(data), b''
    return p.INSTRUCTION_ERROR, b''


_Group = Callable[[SimulatedBus, Packet, list[SimulatedServo]], list[tuple[SimulatedServo, bytes]]]
_GROUP: dict[int, _Group] = {
    p.SYNC_WRITE: SimulatedBus._sync_write,
    p.BULK_WRITE: SimulatedBus._bulk_write,
    p.SYNC_READ: SimulatedBus._group_read,
    p.BULK_READ: SimulatedBus._group_read,
    p.FAST_SYNC_READ: SimulatedBus._group_read,
    p.FAST_BULK_READ: SimulatedBus._group_read,
}
