"""What a servo model is: its registers and figures; dynamixel_x.py has the models."""

from dataclasses import dataclass

# Operating modes of the register operating_mode.
MODE_CURRENT = 0
MODE_VELOCITY = 1
MODE_POSITION = 3
MODE_EXTENDED_POSITION = 4
MODE_CURRENT_BASED_POSITION = 5
MODE_PWM = 16


@dataclass(frozen=True, slots=True)
class Register:
    """One entry of a control table.

    Attributes:
        name: as in the manual, in snake case.
        address: first byte.
        size: bytes, 1, 2 or 4, little endian.
        initial: value after a factory reset (EEPROM) or a reboot (RAM).
        minimum: smallest value a write may have.
        maximum: largest value a write may have.
        writable: false for measured values.
        eeprom: survives a reboot; locked while torque is on.
        signed: two's complement.
    """

    name: str
    address: int
    size: int
    initial: int = 0
    minimum: int = 0
    maximum: int = 0
    writable: bool = False
    eeprom: bool = False
    signed: bool = False


@dataclass(frozen=True, slots=True)
class ServoModel:
    """What is known of one servo model.

    Attributes:
        name: as sold.
        number: value of the register model_number.
        registers: control table by name.
        current_unit_a: A per unit of present current; None: the register holds load (0.1 %).
        stall_current_a: at nominal voltage.
        no_load_speed_rad_s: at nominal voltage.
        nominal_voltage_v: supply of the figures above.
        modes: values that operating_mode takes.
        watchdog_stops: false where the firmware trips the Bus Watchdog but keeps moving
            (330-size servos, firmware 51, forum.robotis.com/t/4814).
    """

    name: str
    number: int
    registers: dict[str, Register]
    current_unit_a: float | None
    stall_current_a: float
    no_load_speed_rad_s: float
    nominal_voltage_v: float
    modes: tuple[int, ...]
    watchdog_stops: bool
