"""Control tables of Dynamixel X servos as data: address, size, access, start value, limits.

Source: the e-manual, https://emanual.robotis.com/docs/en/dxl/x/<model>/, one page per model. All
values are register units; units.py turns them into rad, s and A. docs/your_own_head.md says how
to add a model: one entry in dynamixel_x.py.
"""

from kf_imitation.servo.dynamixel_x import X_SERIES
from kf_imitation.servo.servo_model import (
    MODE_CURRENT,
    MODE_CURRENT_BASED_POSITION,
    MODE_EXTENDED_POSITION,
    MODE_POSITION,
    MODE_PWM,
    MODE_VELOCITY,
    Register,
    ServoModel,
)

__all__ = [
    'BAUD_RATES',
    'HARDWARE_ERRORS',
    'MODELS',
    'MODELS_BY_NUMBER',
    'MODE_CURRENT',
    'MODE_CURRENT_BASED_POSITION',
    'MODE_EXTENDED_POSITION',
    'MODE_POSITION',
    'MODE_PWM',
    'MODE_VELOCITY',
    'STATE_FIRST',
    'STATE_LAST',
    'Register',
    'ServoModel',
    'hardware_error_text',
    'model_name',
]

MODELS = {model.name: model for model in X_SERIES}
MODELS_BY_NUMBER = {model.number: model for model in X_SERIES}

# Manual: 0: 9600 ... 7: 4.5 M. The SDK opens ports up to 4 M.
BAUD_RATES = {
    0: 9600,
    1: 57600,
    2: 115200,
    3: 1_000_000,
    4: 2_000_000,
    5: 3_000_000,
    6: 4_000_000,
    7: 4_500_000,
}

# Bits of the registers hardware_error_status and shutdown.
HARDWARE_ERRORS = {
    0: 'input voltage out of range',
    2: 'overheating',
    3: 'encoder fault',
    4: 'electrical shock or too little power',
    5: 'overload',
}

# The status block that every cycle reads: present_current … present_position.
STATE_FIRST = 'present_current'
STATE_LAST = 'present_position'


def hardware_error_text(status: int) -> str:
    """Return the set bits of hardware_error_status in words, '' when there are none."""
    return ', '.join(text for bit, text in HARDWARE_ERRORS.items() if status >> bit & 1)


def model_name(number: int) -> str:
    """Return the model of a model number, or `model 1234` when its table is not known."""
    model = MODELS_BY_NUMBER.get(number)
    return model.name if model else f'model {number}'
