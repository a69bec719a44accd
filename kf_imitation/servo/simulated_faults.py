"""Faults of the simulated bus as one-line commands, for people, scripts and tests alike."""

from collections.abc import Callable

from kf_imitation.errors import KfImitationError
from kf_imitation.servo.simulated_line import LineFaults
from kf_imitation.servo.simulated_port import SimulatedPort
from kf_imitation.servo.simulated_servo import SimulatedServo

HELP = """\
silence                no reply leaves the bus
deaf                   no instruction arrives
noise SHARE            rubbish before this share of the replies (0..1)
crc SHARE              wrong checksum in this share of the replies
lose SHARE             this share of the replies vanishes
slow SECONDS           every reply comes later
nofast                 firmware without fast reads
unplug | plug          the USB adapter goes away, comes back
dead ID | alive ID     one servo stops answering, answers again
block ID | free ID     the horn is stuck, turns again
overload ID            overload shutdown
heat ID CELSIUS        case temperature now
load ID FRACTION       torque on the horn, -1..1 of the stall torque
reboot ID              the servo restarts
supply VOLTS [ID]      supply voltage (0 is a power cut)
normal                 everything good again (temperatures stay)"""


class FaultCommandError(KfImitationError):
    """A fault command is unknown or misses a value."""


def apply_fault(text: str, port: SimulatedPort) -> None:
    """Carry out one command line; empty lines do nothing.

    Raises:
        FaultCommandError: the command is unknown or its values are.
    """
    word, *values = text.split() or ['']
    if not word:
        return
    if word in ('unplug', 'plug'):
        (port.unplug if word == 'unplug' else port.plug)()
        return
    with port.lock:
        try:
            _apply(word, values, port)
        except (ValueError, IndexError, KeyError) as error:
            raise FaultCommandError(f'cannot do {text!r}; commands:\n{HELP}') from error


def _apply(word: str, values: list[str], port: SimulatedPort) -> None:
    line = port.line
    if word == 'normal':
        line.faults = LineFaults(rng=line.faults.rng)
        for servo in line.servos:
            _to_normal(servo)
    elif word == 'supply':
        wanted = int(values[1]) if len(values) > 1 else None
        for servo in line.servos:
            if wanted in (None, servo.id):
                servo.physics.surroundings.supply_v = float(values[0])
    elif word in _LINE:
        _LINE[word](line.faults, values)
    else:
        _SERVO[word](line.servo(int(values[0])), values[1:])


def _to_normal(servo: SimulatedServo) -> None:
    servo.dead = False
    around = servo.physics.surroundings
    around.supply_v = servo.model.nominal_voltage_v
    around.blocked = False
    around.load = 0.0


def _set(name: str) -> Callable[[LineFaults, list[str]], None]:
    return lambda faults, values: setattr(faults, name, float(values[0]))


def _switch(name: str) -> Callable[[LineFaults, list[str]], None]:
    return lambda faults, values: setattr(faults, name, True)


_LINE: dict[str, Callable[[LineFaults, list[str]], None]] = {
    'silence': _switch('silent'),
    'deaf': _switch('deaf'),
    'nofast': _switch('no_fast'),
    'noise': _set('noise'),
    'crc': _set('wrong_crc'),
    'lose': _set('lost'),
    'slow': _set('slow_s'),
}
_SERVO: dict[str, Callable[[SimulatedServo, list[str]], None]] = {
    'dead': lambda servo, values: setattr(servo, 'dead', True),
    'alive': lambda servo, values: setattr(servo, 'dead', False),
    'block': lambda servo, values: setattr(servo.physics.surroundings, 'blocked', True),
    'free': lambda servo, values: setattr(servo.physics.surroundings, 'blocked', False),
    'overload': lambda servo, values: servo.raise_error(1 << 5),
    'heat': lambda servo, values: setattr(servo.physics, 'temperature_c', float(values[0])),
    'load': lambda servo, values: setattr(servo.physics.surroundings, 'load', float(values[0])),
    'reboot': lambda servo, values: servo.reboot(),
}
