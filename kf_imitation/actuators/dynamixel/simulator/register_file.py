"""The memory of one simulated servo: bytes, access rules, indirect addresses."""

from collections.abc import Iterable

from kf_imitation.actuators.dynamixel.control_tables import MODE_POSITION, Register, ServoModel
from kf_imitation.actuators.dynamixel.simulator.packet import (
    ACCESS_ERROR,
    LENGTH_ERROR,
    LIMIT_ERROR,
    RANGE_ERROR,
)
from kf_imitation.actuators.dynamixel.units import WATCHDOG_TRIPPED, pack, unpack

SIZE = 1024
_GOALS = ('goal_pwm', 'goal_current', 'goal_velocity', 'goal_position')
# What a goal may not exceed, by register of the limit.
_LIMITED_BY = {
    'goal_pwm': 'pwm_limit',
    'goal_current': 'current_limit',
    'goal_velocity': 'velocity_limit',
}


class RegisterFile:
    """Control table of one servo with its content.

    Attributes:
        model: its table.
        version: grows with every change of what a host or the firmware can set.
    """

    def __init__(self, model: ServoModel) -> None:
        self.model = model
        self.version = 0
        self._bytes = bytearray(SIZE)
        self._at = {register.address: register for register in model.registers.values()}
        self._values = dict.fromkeys(model.registers, 0)
        self._slots = {  # of indirect data: where its indirect address is
            register.address: model.registers[name.replace('data', 'address')].address
            for name, register in model.registers.items()
            if name.startswith('indirect_data')
        }
        self.reset(eeprom=True)

    def reset(self, eeprom: bool, keep: tuple[str, ...] = ()) -> None:
        """Set RAM, and with `eeprom` the EEPROM too, to the factory values except `keep`."""
        for register in self.model.registers.values():
            if (eeprom or not register.eeprom) and register.name not in keep:
                self.set(register.name, register.initial)

    def get(self, name: str) -> int:
        """Return the value of a register."""
        return self._values[name]

    def set(self, name: str, value: int) -> None:
        """Set a register from inside the servo, without access rules."""
        before = self._values[name]
        self.measure(name, value)
        if self._values[name] != before:
            self.version += 1

    def measure(self, name: str, value: int) -> None:
        """Set a register that nothing inside the servo depends on."""
        if self._values[name] == value:
            return
        register = self.model.registers[name]
        data = pack(value, register.size)
        self._bytes[register.address : register.address + register.size] = data
        self._values[name] = unpack(data, register.signed)

    def has(self, name: str) -> bool:
        """Whether the model has this register."""
        return name in self.model.registers

    def contents(self, names: Iterable[str]) -> dict[str, int]:
        """Return the values of several registers."""
        return {name: self.get(name) for name in names}

    def read(self, address: int, length: int) -> bytes | None:
        """Return bytes as a READ gives them; None outside the memory."""
        if length == 0 or address + length > SIZE:
            return None
        if address not in self._slots:
            return bytes(self._bytes[address : address + length])
        return bytes(self._bytes[self._resolve(a)] for a in range(address, address + length))

    def write(self, address: int, data: bytes) -> tuple[int, list[str]]:
        """Write bytes as a WRITE does: all registers or, with an error, none.

        Returns:
            The result code (0 is good) and the names of the registers written.
        """
        if address in self._slots:
            return self._write_indirect(address, data)
        return self._write_direct(address, data)

    def _write_direct(self, address: int, data: bytes) -> tuple[int, list[str]]:
        changes: list[tuple[Register, int]] = []
        position = 0
        while position < len(data):
            register = self._at.get(address + position)
            if register is None:
                return ACCESS_ERROR, []
            chunk = data[position : position + register.size]
            if len(chunk) < register.size:
                return LENGTH_ERROR, []
            value = unpack(chunk, register.signed)
            if error := self._error_code(register, value):
                return error, []
            changes.append((register, value))
            position += register.size
        for register, value in changes:
            self.set(register.name, value)
        return (0 if changes else LENGTH_ERROR), [register.name for register, _ in changes]

    def _write_indirect(self, address: int, data: bytes) -> tuple[int, list[str]]:
        """Write through indirect data; neighbours that map to neighbours go as one write."""
        names: list[str] = []
        start = 0
        while start < len(data):
            target = self._resolve(address + start)
            end = start + 1
            while end < len(data) and self._resolve(address + end) == target + end - start:
                end += 1
            error, written = self._write_direct(target, data[start:end])
            if error:
                return error, names
            names += written
            start = end
        return 0, names

    def _resolve(self, address: int) -> int:
        """Return where an indirect data byte really lives."""
        slot = self._slots.get(address)
        if slot is None:
            return address
        target = int.from_bytes(self._bytes[slot : slot + 2], 'little')
        return target if target < SIZE and target not in self._slots else address

    def _error_code(self, register: Register, value: int) -> int:
        """Return the result code of writing a value to a register, 0 when allowed."""
        if not register.writable or (register.eeprom and self.get('torque_enable')):
            return ACCESS_ERROR
        tripped = self.get('bus_watchdog') == WATCHDOG_TRIPPED
        if tripped and (register.name in _GOALS or (register.name == 'bus_watchdog' and value)):
            return RANGE_ERROR
        if not register.minimum <= value <= register.maximum:
            return RANGE_ERROR
        if register.name == 'operating_mode' and value not in self.model.modes:
            return RANGE_ERROR
        limit = _LIMITED_BY.get(register.name)
        if limit and abs(value) > self.get(limit):
            return LIMIT_ERROR
        in_one_turn = self.get('operating_mode') == MODE_POSITION
        if register.name == 'goal_position' and in_one_turn:
            low, high = self.get('min_position_limit'), self.get('max_position_limit')
            return 0 if low <= value <= high else LIMIT_ERROR
        return 0
