"""Faults of the simulated bus as one-line commands, for people, scripts and tests alike."""

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kf_imitation.actuators.dynamixel.simulator.bus import BusFaults
from kf_imitation.actuators.dynamixel.simulator.fault_help import HELP
from kf_imitation.actuators.dynamixel.simulator.port import SimulatedPort
from kf_imitation.actuators.dynamixel.simulator.servo import SimulatedServo
from kf_imitation.errors import KfImitationError

RANGES = {  # of the values that commands take
    'RATIO': (0.0, 1.0),
    'SECONDS': (0.0, 60.0),
    'CELSIUS': (-40.0, 150.0),
    'FRACTION': (-1.0, 1.0),
    'VOLTS': (0.0, 30.0),
}


class FaultCommandError(KfImitationError):
    """A fault command is unknown, or its values are not those it takes."""


class _Command(NamedTuple):
    """One command.

    Attributes:
        values: their names, as in fault_help.py; the one in brackets may be left out.
        apply: carries it out.
    """

    values: str
    apply: Callable[[SimulatedPort, Sequence[float]], None]


def apply_fault(text: str, port: SimulatedPort) -> None:
    """Carry out one command line; empty lines do nothing.

    Raises:
        FaultCommandError: the command is unknown, or its values are not those it takes; nothing
            has changed.
    """
    word, *values = text.split() or ['']
    if not word:
        return
    try:
        if word not in _COMMANDS:
            raise ValueError('there is no such command')
        numbers = _numbers(word, values, [servo.id for servo in port.line.servos])
    except ValueError as error:
        raise FaultCommandError(f'cannot do {text!r}: {error}; commands:\n{HELP}') from error
    plugs = word in ('plug', 'unplug')  # these two take the lock themselves
    with contextlib.nullcontext() if plugs else port.lock:
        _COMMANDS[word].apply(port, numbers)


def _numbers(word: str, values: Sequence[str], ids: Sequence[int]) -> list[float]:
    """Return the values of a command.

    Raises:
        ValueError: there are too few or too many, or one is out of its range.
    """
    names = _COMMANDS[word].values.split()
    least = sum(not name.startswith('[') for name in names)
    if not least <= len(values) <= len(names):
        raise ValueError(f'it is {" ".join([word, *names])!r}')
    return [_number(name.strip('[]'), v, ids) for name, v in zip(names, values, strict=False)]


def _number(name: str, text: str, ids: Sequence[int]) -> float:
    if name == 'ID':
        if text not in map(str, ids):
            raise ValueError(f"ID must be a servo's: {', '.join(map(str, ids))}")
        return int(text)
    low, high = RANGES[name]
    with contextlib.suppress(ValueError):
        if low <= float(text) <= high:
            return float(text)
    raise ValueError(f'{name} must be from {low:g} to {high:g}')


def _normal(port: SimulatedPort, values: Sequence[float]) -> None:
    port.line.faults = BusFaults(rng=port.line.faults.rng)
    for servo in port.line.servos:
        servo.dead = False
        around = servo.physics.surroundings
        around.supply_v = servo.model.nominal_voltage_v
        around.blocked = False
        around.load = 0.0


def _supply(port: SimulatedPort, values: Sequence[float]) -> None:
    volts, *chosen = values
    for servo in port.line.servos:
        if not chosen or servo.id == chosen[0]:
            servo.physics.surroundings.supply_v = volts


def _line(name: str) -> Callable[[SimulatedPort, Sequence[float]], None]:
    """Return what sets a fault of the line: switches it on, or to its value."""
    return lambda port, values: setattr(port.line.faults, name, values[0] if values else True)


def _servo(
    act: Callable[[SimulatedServo, float], None],
) -> Callable[[SimulatedPort, Sequence[float]], None]:
    """Return what acts on one servo, with the value after its id or 0."""
    return lambda port, values: act(port.line.servo(int(values[0])), [*values, 0.0][1])


_COMMANDS = {
    'silence': _Command('', _line('silent')),
    'deaf': _Command('', _line('deaf')),
    'nofast': _Command('', _line('no_fast')),
    'noise': _Command('RATIO', _line('noise')),
    'crc': _Command('RATIO', _line('wrong_crc')),
    'lose': _Command('RATIO', _line('lost')),
    'slow': _Command('SECONDS', _line('slow_s')),
    'unplug': _Command('', lambda port, _: port.unplug()),
    'plug': _Command('', lambda port, _: port.plug()),
    'dead': _Command('ID', _servo(lambda servo, _: setattr(servo, 'dead', True))),
    'alive': _Command('ID', _servo(lambda servo, _: setattr(servo, 'dead', False))),
    'block': _Command('ID', _servo(lambda s, _: setattr(s.physics.surroundings, 'blocked', True))),
    'free': _Command('ID', _servo(lambda s, _: setattr(s.physics.surroundings, 'blocked', False))),
    'overload': _Command('ID', _servo(lambda servo, _: servo.raise_error(1 << 5))),
    'heat': _Command('ID CELSIUS', _servo(lambda s, v: setattr(s.physics, 'temperature_c', v))),
    'load': _Command(
        'ID FRACTION', _servo(lambda s, v: setattr(s.physics.surroundings, 'load', v))
    ),
    'reboot': _Command('ID', _servo(lambda servo, _: servo.reboot())),
    'supply': _Command('VOLTS [ID]', _supply),
    'normal': _Command('', _normal),
}
