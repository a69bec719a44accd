"""How long one bus cycle keeps the line busy, by byte count.

Protocol 2.0 (https://emanual.robotis.com/docs/en/dxl/protocol2/): an instruction packet is header
4, id 1, length 2, instruction 1, parameters, CRC 2; a status packet has one error byte more. A
byte is 10 bits on the wire (8N1). Stuffing, which adds a byte where data looks like a header, is
left out: it is rare and short.
"""

from dataclasses import dataclass

from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.robot.model import RobotConfig

USB_ROUND_TRIP_S = 0.001  # one frame of full-speed USB, with a latency timer of 1 ms
_PACKET = 10  # instruction packet without parameters
_STATUS = 11  # status packet without parameters
_RANGE = 4  # address and length of a group instruction
_WATCHED = 56  # the longest single read next to the cycle: torque_enable … goal_position


@dataclass(frozen=True, slots=True)
class CycleBudget:
    """One cycle: goals out, current, speed and position back, one single read in addition.

    Attributes:
        sent, received: bytes.
        wire_s: time on the wire.
        total_s: with the USB round trips of both reads.
    """

    sent: int
    received: int
    wire_s: float
    total_s: float

    @property
    def rate_hz(self) -> float:
        """Highest rate that the line allows."""
        return 1.0 / self.total_s


def cycle_budget(
    servos: int, baud: int, fast: bool = True, return_delay_s: float = 0.0
) -> CycleBudget:
    """Count one cycle.

    Args:
        servos: on the line.
        baud: bit/s.
        fast: fast sync read; otherwise every servo answers with a packet of its own.
        return_delay_s: that every servo waits before it answers.
    """
    position = _size('goal_position')
    state = _size(ct.STATE_FIRST, ct.STATE_LAST)
    sent = (_PACKET + _RANGE + servos * (1 + position)) + (_PACKET + _RANGE + servos)
    if fast:
        received = 8 + servos * (state + 4)  # error, id, data, CRC each
        waits = 1
    else:
        received = servos * (_STATUS + state)
        waits = servos
    sent += _PACKET + _RANGE
    received += _STATUS + _WATCHED
    wire_s = (sent + received) * ct.BITS_PER_BYTE / baud + (waits + 1) * return_delay_s
    return CycleBudget(sent, received, wire_s, wire_s + 2 * USB_ROUND_TRIP_S)


def budget_text(robot: RobotConfig, rate_hz: float) -> str:
    """Say what a cycle of a robot costs and whether the rate fits, in one sentence."""
    return '; '.join(_line_text(robot.part_on(line), line.name, rate_hz) for line in robot.lines)


def fits(robot: RobotConfig, rate_hz: float) -> bool:
    """Whether every bus of a robot, all of which work at the same time, has time for a rate."""
    parts = [robot.part_on(line) for line in robot.lines]
    return all(cycle_budget(len(p.joints), p.baud).rate_hz >= rate_hz for p in parts)


def _line_text(part: RobotConfig, name: str, rate_hz: float) -> str:
    fast = cycle_budget(len(part.joints), part.baud)
    plain = cycle_budget(len(part.joints), part.baud, fast=False)
    verdict = 'fits' if fast.rate_hz >= rate_hz else 'does not fit'
    return (
        f'{f"bus {name}: " if name else ""}a cycle of {len(part.joints)} servos is {fast.sent} '
        f'bytes out, {fast.received} back: {1e3 * fast.wire_s:.1f} ms on the wire at {part.baud} '
        f'bit/s ({1e3 * plain.wire_s:.1f} ms without fast reads), {rate_hz:g} Hz {verdict}'
    )


def _size(first: str, last: str = '') -> int:
    table = next(iter(ct.MODELS.values())).registers
    end = table[last or first]
    return end.address + end.size - table[first].address
