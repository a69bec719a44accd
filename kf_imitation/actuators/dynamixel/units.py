"""Register units of the X series and SI units.

Position counts 4096 ticks per turn. Factors: e-manual of the X series. Functions take numbers or
numpy arrays alike; results towards the servo are whole numbers, rounded to the nearest.
"""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.dynamixel.control_tables import ServoModel

Number = TypeVar('Number', float, NDArray[np.float64])

TICKS_PER_TURN = 4096
RAD_PER_TICK = 2.0 * math.pi / TICKS_PER_TURN
VELOCITY_UNIT_RAD_S = 0.229 * 2.0 * math.pi / 60.0  # 0.229 rev/min
ACCELERATION_UNIT_RAD_S2 = 214.577 * 2.0 * math.pi / 3600.0  # 214.577 rev/min^2
VOLTAGE_UNIT_V = 0.1
WATCHDOG_UNIT_S = 0.02
RETURN_DELAY_UNIT_S = 2e-6
LOAD_UNIT = 0.001  # of the stall torque, for servos that report load instead of current
WATCHDOG_TRIPPED = 255  # -1 in the one byte of bus_watchdog


def to_raw(value: int, size: int) -> int:
    """Return the unsigned register content of a (possibly negative) value, two's complement."""
    return value & ((1 << (8 * size)) - 1)


def from_raw(raw: int, size: int, signed: bool) -> int:
    """Return the value of a register content, two's complement if signed."""
    if signed and raw >> (8 * size - 1):
        return raw - (1 << (8 * size))
    return raw


def pack(value: int, size: int) -> bytes:
    """Return a value as the little-endian bytes of a register."""
    return to_raw(value, size).to_bytes(size, 'little')


def unpack(data: bytes, signed: bool = False) -> int:
    """Return the value of little-endian register bytes."""
    return from_raw(int.from_bytes(data, 'little'), len(data), signed)


def ticks(position_rad: float, zero_tick: int, direction: int) -> int:
    """Return the goal of a joint angle; direction is +1 or -1."""
    return zero_tick + direction * round(position_rad / RAD_PER_TICK)


def position_rad(tick: Number, zero_tick: Number, direction: Number) -> Number:
    """Return the joint angle of a present position."""
    return (tick - zero_tick) * direction * RAD_PER_TICK


def velocity_rad_s(raw: Number) -> Number:
    """Return the speed of a present velocity."""
    return raw * VELOCITY_UNIT_RAD_S


def velocity_raw(rad_s: float) -> int:
    """Return the register value of a speed."""
    return round(rad_s / VELOCITY_UNIT_RAD_S)


def acceleration_rad_s2(raw: Number) -> Number:
    """Return the acceleration of a profile acceleration."""
    return raw * ACCELERATION_UNIT_RAD_S2


def current_unit_a(model: ServoModel) -> float:
    """Return A per unit; load servos count 0.1 % of the stall current as an estimate."""
    if model.current_unit_a is None:
        return LOAD_UNIT * model.stall_current_a
    return model.current_unit_a


def current_raw(current_a: float, model: ServoModel) -> int:
    """Return the register value of a current, rounded down so that a limit stays a limit."""
    return int(current_a / current_unit_a(model) + 1e-9)


def watchdog_raw(timeout_s: float) -> int:
    """Return the register value of a watchdog time, 1..127 (20 ms to 2.54 s)."""
    return min(127, max(1, round(timeout_s / WATCHDOG_UNIT_S)))


def travel_rad(zero_tick: int, direction: int) -> tuple[float, float]:
    """Return the lowest and highest joint angle inside one turn (ticks 0..4095)."""
    ends = (
        position_rad(0.0, float(zero_tick), float(direction)),
        position_rad(float(TICKS_PER_TURN - 1), float(zero_tick), float(direction)),
    )
    return min(ends), max(ends)
