"""One simulated Dynamixel as a host sees it over the bus; pure.

Time only passes in step(). The packet layer (bus.py) and InProcessBus both sit on it.
"""

from kf_imitation.actuators.dynamixel.control_tables import BAUD_RATES, ServoModel
from kf_imitation.actuators.dynamixel.packet import ALERT, RESULT_FAIL
from kf_imitation.actuators.dynamixel.simulator.firmware import (
    GAINS,
    PROFILE,
    ServoFirmware,
    WriteRecord,
)
from kf_imitation.actuators.dynamixel.simulator.settings import TORQUE_BY_GOAL
from kf_imitation.actuators.dynamixel.units import velocity_raw

CLEAR_KEY = b'\x01DXL"'
STORE_KEY, RESTORE_KEY = b'\x01CTRL', b'\x02CTRL'

__all__ = ['SimulatedServo', 'WriteRecord']


class SimulatedServo(ServoFirmware):
    """Firmware with an address; attributes are those of ServoFirmware."""

    def __init__(
        self,
        model: ServoModel,
        id_: int,
        present_tick: int = 2048,
        baud: int = 1_000_000,
        log: list[WriteRecord] | None = None,
    ) -> None:
        super().__init__(model, present_tick, log)
        self.registers.set('id', id_)
        self.registers.set('baud_rate', _baud_code(baud))
        self._start()

    @property
    def id(self) -> int:
        """Bus address."""
        return self.registers.get('id')

    @property
    def baud(self) -> int:
        """Speed it listens at [bit/s]."""
        return BAUD_RATES[self.registers.get('baud_rate')]

    @property
    def alert(self) -> int:
        """The alert bit of status packets."""
        return ALERT if self.registers.get('hardware_error_status') else 0

    def read(self, address: int, length: int) -> bytes | None:
        """Return memory as a READ gives it, or None outside it."""
        self._refresh()
        return self.registers.read(address, length)

    def write(self, address: int, data: bytes) -> int:
        """Write as a WRITE does; returns the result code."""
        torque_was = self.torque
        error, names = self.registers.write(address, data)
        for name in names:
            error = self._wrote(name, torque_was) or error
            self._record(name)
        return error

    def register_write(self, address: int, data: bytes) -> int:
        """Keep a write for action(); returns the result code."""
        self._pending = (address, data)
        self.registers.set('registered_instruction', 1)
        return 0

    def action(self) -> int:
        """Carry out the pending write; returns the result code."""
        if self._pending is None:
            return RESULT_FAIL
        pending, self._pending = self._pending, None
        self.registers.set('registered_instruction', 0)
        return self.write(*pending)

    def factory_reset(self, scope: int) -> int:
        """Reset the EEPROM: 0xFF all, 0x01 but the id, 0x02 but id and baud rate."""
        keep = {0xFF: (), 0x01: ('id',), 0x02: ('id', 'baud_rate')}.get(scope)
        if keep is None or self.torque:
            return RESULT_FAIL
        self.registers.reset(eeprom=True, keep=keep)
        self.reboot()
        return 0

    def backup(self, key: bytes) -> int:
        """Store the EEPROM, gains, profile and indirect addresses, or restore and restart."""
        if self.torque or key not in (STORE_KEY, RESTORE_KEY):
            return RESULT_FAIL
        if key == STORE_KEY:
            self._backup = self.registers.contents(
                name
                for name, register in self.model.registers.items()
                if (register.eeprom and register.writable)
                or name in GAINS + PROFILE
                or name.startswith('indirect_address')
            )
            self.registers.set('backup_ready', 1)
            return 0
        if not self._backup:
            return RESULT_FAIL
        for name, value in self._backup.items():
            if self.model.registers[name].eeprom:
                self.registers.set(name, value)
        self.reboot()
        return 0

    def clear(self, key: bytes) -> int:
        """Bring a multi-turn position back into one turn; refused while moving."""
        speed = abs(velocity_raw(self.physics.speed_rad_s))
        if key != CLEAR_KEY or speed > self.registers.get('moving_threshold'):
            return RESULT_FAIL
        self._to_one_turn()
        self.registers.set('goal_position', self._present_tick())  # else it would turn back
        return 0

    def hear(self) -> None:
        """Note that an instruction packet passed; feeds the Bus Watchdog."""
        self._silence_s = 0.0

    def _wrote(self, name: str, torque_was: bool) -> int:
        registers = self.registers
        if name == 'torque_enable':
            if self.torque and registers.get('hardware_error_status') & registers.get('shutdown'):
                registers.set('torque_enable', 0)
                return RESULT_FAIL
            if self.torque and not torque_was:
                self._settle()
        elif name == 'operating_mode':
            self._change_mode()
        elif name == 'bus_watchdog':
            self._silence_s = 0.0
            if registers.get(name) == 0:
                self._frozen = False
        elif (
            name == 'goal_position'
            and registers.get('drive_mode') & TORQUE_BY_GOAL
            and not self.torque
        ):
            registers.set('torque_enable', 1)
            self._settle()
        return 0

    def _torque_by_goal(self) -> bool:
        return bool(self.registers.get('drive_mode') & TORQUE_BY_GOAL)


def _baud_code(baud: int) -> int:
    return next(code for code, rate in BAUD_RATES.items() if rate == baud)
