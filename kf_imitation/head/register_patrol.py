"""Reads the servos' safety registers back while they move, and says what another program changed.

What only softens or loosens a joint (gains, profile, force limit, Bus Watchdog) is put right with
a word. What changes where goals lead (mode, direction, offset, limits, somebody else's goals)
stops the head: two programs are at its servos.
"""

from dataclasses import dataclass

from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.actuators.dynamixel import units
from kf_imitation.head.servo_group import ServoGroup

# Each in one exchange: return_delay_time ... shutdown, torque_enable ... goal_position.
EEPROM_BLOCK = (9, 55)
RAM_BLOCK = (64, 56)
SAFE = (
    *ct.GAINS,
    *ct.PROFILE,
    'goal_pwm',
    'goal_current',
    'bus_watchdog',
    'status_return_level',
)
HARMLESS = (
    'return_delay_time',
    'temperature_limit',
    'max_voltage_limit',
    'min_voltage_limit',
    'max_position_limit',
    'min_position_limit',
    'startup_configuration',
    'pwm_slope',
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one servo.

    Attributes:
        torque: it is on.
        error: hardware error bits.
        tripped: its Bus Watchdog stopped it.
        notes: what was put right, or does not matter now; one sentence each.
        alarm: what must stop the head; '' for nothing.
        lost: its goals do not mean what they did: its torque must go off, come what may.
    """

    torque: bool = True
    error: int = 0
    tripped: bool = False
    notes: tuple[str, ...] = ()
    alarm: str = ''
    lost: bool = False


def patrol_ram(servos: ServoGroup, index: int) -> Finding:
    """Read one servo's RAM, and put right what is safe to.

    Raises:
        BusError: it does not answer.
    """
    values = servos.read_block(index, *RAM_BLOCK)
    torque, error = bool(values['torque_enable']), values['hardware_error_status']
    tripped = values['bus_watchdog'] == units.WATCHDOG_TRIPPED
    if not torque or tripped:
        return Finding(torque, error, tripped)
    notes = []
    for name in SAFE:
        wanted = servos.expected[index].get(name)
        if wanted is None or name not in values or values[name] == wanted:
            continue
        servos.write_register(index, name, wanted)
        notes.append(f'{name} was changed to {values[name]} by another program, {wanted} again')
    alarm = _foreign(servos, index, values['goal_position'])
    return Finding(torque, error, tripped, tuple(notes), alarm)


def foreign_goal(servos: ServoGroup, index: int) -> str:
    """Read one servo's goal; returns what is wrong with it, or ''.

    Raises:
        BusError: it does not answer.
    """
    return _foreign(servos, index, servos.read_register(index, 'goal_position'))


def _foreign(servos: ServoGroup, index: int, goal: int) -> str:
    return (
        f'another program sends it goals ({goal})' if servos.goal_of_another(index, goal) else ''
    )


def patrol_eeprom(servos: ServoGroup, index: int) -> Finding:
    """Read one servo's EEPROM; nothing is put right there.

    Raises:
        BusError: it does not answer.
    """
    values = servos.read_block(index, *EEPROM_BLOCK)
    notes, alarms = [], []
    for name, wanted in servos.expected[index].items():
        if name in SAFE or name not in values or values[name] == wanted:
            continue
        sentence = f'{name} was changed from {wanted} to {values[name]} by another program'
        if name in HARMLESS:
            notes.append(sentence)
            servos.expected[index] |= {name: values[name]}
        else:
            alarms.append(sentence)
    return Finding(notes=tuple(notes), alarm='; '.join(alarms), lost=bool(alarms))
