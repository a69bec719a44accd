"""`servo ping ID`: one servo's model, firmware, temperature, voltage, torque and errors."""

import argparse

from kf_imitation.actuators.dynamixel import units
from kf_imitation.actuators.dynamixel.control_tables import (
    MODELS_BY_NUMBER,
    hardware_error_text,
    model_name,
)
from kf_imitation.cli.servo_tools.connection import opened_bus

SHOWN = (
    'present_position',
    'torque_enable',
    'operating_mode',
    'return_delay_time',
    'bus_watchdog',
    'min_position_limit',
    'max_position_limit',
)


def run(args: argparse.Namespace) -> int:
    """Print what the servo says of itself.

    Raises:
        BusError: it does not answer.
    """
    with opened_bus(args) as bus:
        reply = bus.ping(args.id)
        print(f'id {args.id}: {model_name(reply.model_number)}, firmware {reply.firmware}')
        model = MODELS_BY_NUMBER.get(reply.model_number)
        if model is None:
            print('  no control table for this model (docs/your_own_head.md says how to add one)')
            return 1

        def read(name: str) -> int:
            register = model.registers[name]
            data = bus.read(args.id, register.address, register.size)
            return units.unpack(data, register.signed)

        volts = read('present_input_voltage') * units.VOLTAGE_UNIT_V
        print(f'  {read("present_temperature")} °C, {volts:.1f} V')
        for name in SHOWN:
            print(f'  {name:20} {read(name)}')
        error = read('hardware_error_status')
        print(f'  hardware error       {hardware_error_text(error) or "none"}')
    return 0
