"""The registers that the judge reads, from the public control tables of the X series."""

import math
import re
from collections.abc import Iterator
from functools import cache

RAD_PER_TICK = 2.0 * math.pi / 4096
WATCHDOG_UNIT_S = 0.02
WATCHDOG_TRIPPED = 255

DRIVE_MODE, OPERATING_MODE, HOMING_OFFSET = 10, 11, 20
TORQUE_ENABLE, BUS_WATCHDOG = 64, 98
GOAL_PWM, GOAL_CURRENT, GOAL_VELOCITY = 100, 102, 104
PROFILE_ACCELERATION, PROFILE_VELOCITY, GOAL_POSITION = 108, 112, 116
PRESENT_CURRENT, PRESENT_POSITION, PRESENT_TEMPERATURE = 126, 132, 146
# Address: name, size, signed.
_TABLE = {
    DRIVE_MODE: ('drive mode', 1, False),
    OPERATING_MODE: ('operating mode', 1, False),
    HOMING_OFFSET: ('homing offset', 4, True),
    TORQUE_ENABLE: ('torque enable', 1, False),
    BUS_WATCHDOG: ('bus watchdog', 1, False),
    GOAL_PWM: ('goal PWM', 2, True),
    GOAL_CURRENT: ('goal current', 2, True),
    GOAL_VELOCITY: ('goal velocity', 4, True),
    PROFILE_ACCELERATION: ('profile acceleration', 4, False),
    PROFILE_VELOCITY: ('profile velocity', 4, False),
    GOAL_POSITION: ('goal position', 4, True),
    PRESENT_CURRENT: ('present current', 2, True),
    PRESENT_POSITION: ('present position', 4, True),
    PRESENT_TEMPERATURE: ('present temperature', 1, False),
}
NAMES = {address: name for address, (name, _, _) in _TABLE.items()}
MOVING = {GOAL_VELOCITY: 'goal velocity'}  # would move a servo in another mode
# Unit of currents [A], where a model measures current at all.
_CURRENT_A = (
    (r'(XL|XC)330', 0.001),
    (r'X[MHDW]\d*(430|540)', 0.00269),
)


def values(address: int, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield address and value of the known registers that lie whole in some memory.

    Positions come before currents: a current is judged with the position of the same read.
    """
    for first, begin, end, signed in _layout(address, len(data)):
        yield first, int.from_bytes(data[begin:end], 'little', signed=signed)


@cache
def _layout(address: int, length: int) -> tuple[tuple[int, int, int, bool], ...]:
    """Return address, begin, end and sign of the known registers in a block of memory."""
    found = [
        (first, first - address, first - address + size, signed)
        for first, (_, size, signed) in _TABLE.items()
        if address <= first and first + size <= address + length
    ]
    return tuple(sorted(found, key=lambda one: one[0] != PRESENT_POSITION))


def current_unit_a(model: str) -> float | None:
    """Return the unit of a model's currents; None for a model without current measurement."""
    return next((unit for name, unit in _CURRENT_A if re.match(name, model)), None)


def current_raw(current_a: float, model: str) -> int | None:
    """Return the register value of a current limit, rounded down."""
    unit = current_unit_a(model)
    return None if unit is None else int(current_a / unit + 1e-9)


def needed(model: str) -> dict[int, tuple[int, ...]]:
    """Return what registers must hold before torque goes on."""
    position = (5,) if current_unit_a(model) else (3,)
    return {
        DRIVE_MODE: (0,),
        HOMING_OFFSET: (0,),
        OPERATING_MODE: position,
        PROFILE_ACCELERATION: (0,),
        PROFILE_VELOCITY: (0,),
    }
