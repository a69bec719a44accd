"""The commissioning record: what the owner and `servo commission` settled, beside the robot file.

It holds a fingerprint of each servo's EEPROM, and of the robot file what decides where a goal
leads. A real servo without a record, or whose registers differ from it, gets no torque.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from kf_imitation.actuators.dynamixel import control_tables as ct
from kf_imitation.errors import ConfigError
from kf_imitation.head.servo_inspection import Inspection, inspect, is_simulated
from kf_imitation.output_files import new_file
from kf_imitation.parameters.yaml_text import read_yaml
from kf_imitation.paths import user_path
from kf_imitation.robot import JointConfig, RobotConfig

TRUST = 'trust'
SUFFIX = '.commissioning.yaml'
AGAIN = 'kf_imitation servo commission'

# Of the servo. moving_threshold, which nothing here uses, is the mark that commissioning gives
# each servo of a head, so that two of one model can be told apart.
FINGERPRINT = (
    'model_number',
    'firmware_version',
    'id',
    'drive_mode',
    'operating_mode',
    'secondary_id',
    'homing_offset',
    'moving_threshold',
    'temperature_limit',
    'max_voltage_limit',
    'min_voltage_limit',
    'pwm_limit',
    'current_limit',
    'velocity_limit',
    'max_position_limit',
    'min_position_limit',
    'startup_configuration',
    'shutdown',
)


@dataclass(frozen=True, slots=True)
class ServoEntry:
    """One servo of a record.

    Attributes:
        joint: its name.
        zero_tick, direction, limits_rad: of the robot file.
        registers: FINGERPRINT and gains, by name.
    """

    joint: str
    zero_tick: int
    direction: int
    limits_rad: tuple[float, float]
    registers: Mapping[str, int]

    @classmethod
    def of(cls, joint: JointConfig, values: Mapping[str, int]) -> 'ServoEntry':
        """Return the entry of a servo as it is now."""
        kept = [name for name in (*FINGERPRINT, *ct.GAINS) if name in values]
        return cls(
            joint.name,
            joint.zero_tick,
            joint.direction,
            joint.limits_rad,
            {name: values[name] for name in kept},
        )


def record_path(robot: RobotConfig) -> Path:
    """Return where the record of a head is."""
    source = Path(robot.source)
    if robot.commissioned not in ('', TRUST):
        return user_path(robot.commissioned, source.parent)
    return source.with_name(source.stem + SUFFIX)


def load_record(path: Path) -> dict[str, ServoEntry]:
    """Return the entries of a record by joint.

    Raises:
        ConfigError: it cannot be read, or is no record.
    """
    document = read_yaml(path)
    try:
        return {
            str(name): ServoEntry(
                str(name),
                int(entry['zero_tick']),
                int(entry['direction']),
                (float(entry['limits_rad'][0]), float(entry['limits_rad'][1])),
                {str(key): int(value) for key, value in entry['registers'].items()},
            )
            for name, entry in document['joints'].items()
        }
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(str(path), [f'is no commissioning record: {AGAIN} again']) from error


def write_record(path: Path, robot: RobotConfig, entries: Mapping[str, ServoEntry]) -> None:
    """Write a record, whole; replaces one that is there.

    Raises:
        OutputError: it cannot be written.
    """
    joints: dict[str, Any] = {
        name: {
            'zero_tick': entry.zero_tick,
            'direction': entry.direction,
            'limits_rad': list(entry.limits_rad),
            'registers': dict(entry.registers),
        }
        for name, entry in entries.items()
    }
    document = {'robot': robot.name, 'date': date.today().isoformat(), 'joints': joints}
    with new_file(path, overwrite=True) as partial:
        partial.write_text(
            f'# Written by {AGAIN}; a head whose servos differ from it gets no torque.\n'
            + yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=99),
            encoding='utf-8',
        )


class Commissioning:
    """What is settled about a head's servos; reads the record when the first real servo asks.

    Attributes:
        warnings: about the head as a whole, one sentence each.
    """

    def __init__(self, robot: RobotConfig) -> None:
        self.warnings: list[str] = []
        self._robot = robot
        self._entries: dict[str, ServoEntry] | None = None

    def gains(self, joint: JointConfig) -> dict[str, int]:
        """Return the gains that a servo is to have: the record's, else the factory's."""
        settled = self._settled(joint)
        return {name: settled.get(name, joint.servo.initial(name)) for name in ct.GAINS}

    def inspect(self, joint: JointConfig, values: Mapping[str, int]) -> Inspection:
        """Compare a servo's registers with the robot file and, if it is real, with the record.

        Raises:
            ConfigError: there is a record that cannot be read.
        """
        if is_simulated(values):
            return inspect(joint, values)
        if self._robot.commissioned == TRUST:
            sentence = (
                'commissioned: trust: nobody compares the servos with a record; '
                f'{AGAIN} writes one'
            )
            self.warnings = [sentence]
            return inspect(joint, values, values)
        found = inspect(joint, values, self._settled(joint, read=True))
        found.errors += self._differences(joint, values)
        return found

    def _settled(self, joint: JointConfig, read: bool = False) -> Mapping[str, int]:
        """Return the registers of a joint's entry, empty without one."""
        if self._entries is None and read:
            path = record_path(self._robot)
            self._entries = load_record(path) if path.is_file() else {}
        entry = (self._entries or {}).get(joint.name)
        return entry.registers if entry else {}

    def _differences(self, joint: JointConfig, values: Mapping[str, int]) -> list[str]:
        assert self._entries is not None
        entry = self._entries.get(joint.name)
        if entry is None:
            return [
                f'is not commissioned: no entry in {record_path(self._robot)}; '
                f'{AGAIN} --robot {self._robot.source}'
            ]
        if twin := self._twin(joint, values):
            return [
                f'has the registers of {twin}, so the ids of the two are swapped: give them back '
                'their ids (kf_imitation servo set-id)'
            ]
        differs = [
            f'{name} {values.get(name)}, commissioned with {entry.registers[name]}'
            for name in FINGERPRINT
            if name in entry.registers and entry.registers[name] != values.get(name)
        ]
        now = ServoEntry.of(joint, values)
        differs += [
            f'{name} {getattr(now, name)} in the robot file, commissioned with '
            f'{getattr(entry, name)}'
            for name in ('zero_tick', 'direction')
            if getattr(now, name) != getattr(entry, name)
        ]
        low, high = entry.limits_rad
        if joint.limits_rad[0] < low - 1e-9 or joint.limits_rad[1] > high + 1e-9:
            differs.append(
                f'limits_rad {list(joint.limits_rad)} in the robot file, commissioned with '
                f'[{low:g}, {high:g}]'
            )
        return [f'is not as it was commissioned ({one}): {AGAIN} again' for one in differs]

    def _twin(self, joint: JointConfig, values: Mapping[str, int]) -> str:
        """Return the joint whose fingerprint a servo has instead of its own; '' for none."""

        def fits(entry: ServoEntry) -> bool:
            return all(
                entry.registers.get(name) == values.get(name)
                for name in FINGERPRINT
                if name != 'id'
            )

        assert self._entries is not None
        if fits(self._entries[joint.name]):
            return ''
        return next((name for name, entry in self._entries.items() if fits(entry)), '')
