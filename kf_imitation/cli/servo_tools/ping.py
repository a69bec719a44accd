"""`servo ping ID`: one servo's model, firmware, temperature, voltage, torque and errors."""

import argparse
from dataclasses import asdict

from kf_imitation.actuators.dynamixel import units
from kf_imitation.actuators.dynamixel.control_tables import (
    MODELS_BY_NUMBER,
    hardware_error_text,
    model_name,
)
from kf_imitation.cli.servo_tools.connection import opened_bus
from kf_imitation.cli.terminal import teller, write_json

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
        tell = teller(args.json)
        name = model_name(reply.model_number)
        tell(f'id {args.id}: {name}, firmware {reply.firmware}')
        about = {'model': name, **asdict(reply)}
        model = MODELS_BY_NUMBER.get(reply.model_number)
        if model is None:
            tell('  no control table for this model (docs/your_own_head.md says how to add one)')
            write_json(about, args.json)
            return 1

        def read(name: str) -> int:
            register = model.registers[name]
            data = bus.read(args.id, register.address, register.size)
            return units.unpack(data, register.signed)

        volts = read('present_input_voltage') * units.VOLTAGE_UNIT_V
        celsius = read('present_temperature')
        tell(f'  {celsius} °C, {volts:.1f} V')
        registers = {name: read(name) for name in SHOWN}
        for name, value in registers.items():
            tell(f'  {name:20} {value}')
        error = hardware_error_text(read('hardware_error_status'))
        tell(f'  hardware error       {error or "none"}')
        measured = {'temperature_c': celsius, 'voltage_v': round(volts, 1), 'error': error}
        write_json({**about, **measured, **registers}, args.json)
    return 0
