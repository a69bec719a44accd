"""The reference of robot files, docs/robot_file.md, from their data types and their reader.

`python -m benchmark.robot_file` writes it; a test compares. The rule of a key is what the reader
says to values that break it, its default what it takes where the key is missing.
"""

import copy
import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Any

from kf_imitation.errors import ConfigError
from kf_imitation.parameters.yaml_text import read_yaml
from kf_imitation.paths import share_path
from kf_imitation.robot import parse_robot
from kf_imitation.robot.model import (
    BusConfig,
    Combination,
    CoupledLimit,
    JointConfig,
    Measured,
    RobotConfig,
    ThermalLimits,
)

PAGE = Path(__file__).resolve().parents[1] / 'docs/robot_file.md'
HEAD = """# The robot file

Every key of a robot file, made by `python -m benchmark.robot_file` from what reads it.
`config/robots/template.yaml` shows them in use; [your own head](your_own_head.md) leads through
them. `kf_imitation robot check FILE` also checks what needs several keys at once: the neutral
pose inside all limits, speeds that the servo model reaches, channels inside `limits_rad`.

`joint_defaults` may hold any key of a joint, for all joints that do not say otherwise. The names
in `channels` are those of [landmarks](landmarks.md).
"""
# Title, type, the way to its keys through a robot file, and its fields that are no keys.
TABLES: tuple[tuple[str, type, tuple[str | int, ...], tuple[str, ...]], ...] = (
    ('The head', RobotConfig, (), ('source',)),
    ('thermal', ThermalLimits, ('thermal',), ()),
    ('buses.NAME, instead of port and baud', BusConfig, ('buses', 'one'), ('name',)),
    ('joints[]', JointConfig, ('joints', 0), ('curves',)),
    ('joints[].measured', Measured, ('joints', 0, 'measured'), ()),
    ('coupled_limits[]', CoupledLimit, ('coupled_limits', 0), ()),
    ('combinations[]', Combination, ('combinations', 0), ()),
)
UNITS = {
    'rad': 'rad', 'rad_s': 'rad/s', 'rad_s2': 'rad/s²', 'rad_s3': 'rad/s³', 'rad_a': 'rad/A',
    's': 's', 'a': 'A', 'c': '°C', 'tick': 'ticks', 'baud': 'bit/s',
}  # fmt: skip
BAD: tuple[object, ...] = (1e9, -1e9, '?', [2, 1], [])
OF_TYPE = ('a text', 'a finite number')  # said where the bounds say more


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for title, kind, way, left_out in TABLES:
        meaning = meanings(kind)
        rows = ['| key | unit | default | rule | meaning |', '|---|---|---|---|---|']
        for field in dataclasses.fields(kind):
            if field.name not in left_out:
                key, text = field.name, meaning[field.name].replace('|', '\\|')
                cells = (unit(key), default(way, key), rule(way, key), text)
                rows.append(f'| `{key}` | {" | ".join(cells)} |')
        parts += [f'## {title}\n', '\n'.join(rows) + '\n']
    return '\n'.join(parts)


def meanings(kind: type) -> dict[str, str]:
    """Return what the docstring of a type says of each field."""
    found: dict[str, str] = {}
    for part in re.split(r'\n {8}(?! )', (kind.__doc__ or '').split('Attributes:')[1]):
        names, _, text = part.strip().partition(': ')
        for name in names.split(', '):
            found[name] = ' '.join(text.split()).rstrip('.')
    return found


def unit(key: str) -> str:
    """Return the unit that a key names at its end."""
    ends = [end for end in UNITS if key == end or key.endswith(f'_{end}')]
    return UNITS[max(ends, key=len)] if ends else ''


def rule(way: tuple[str | int, ...], key: str) -> str:
    """Return what the reader answers to values that a key must not have."""
    answers: list[str] = []
    for bad in BAD:
        document, section = document_at(way)
        section[key] = bad
        named = re.compile(rf'(?:^|\.){key} = {re.escape(repr(bad))} must (?:be |have )?(.*)')
        said = [match[1] for fault in faults_of(document) if (match := named.search(fault))]
        answers += [re.sub(r' \((write|did you mean) .*', '', one) for one in said]
    bounds = [one for one in dict.fromkeys(answers) if one not in OF_TYPE]
    return '; '.join(bounds or answers[:1])


def default(way: tuple[str | int, ...], key: str) -> str:
    """Return what holds where a key is missing; 'needed' where nothing does."""
    document, section = document_at(way)
    section.pop(key, None)
    try:
        found: Any = parse_robot(document, '')
    except ConfigError as error:
        if any(fault.endswith(f'{key} is missing') for fault in error.faults):
            return 'needed'
        raise
    for step in way:
        found = found[0] if isinstance(found, tuple) else getattr(found, str(step))
    value = getattr(found, key)
    if isinstance(value, str | int | float) and value != '':
        return f'`{value:g}`' if isinstance(value, float) else f'`{value}`'
    if not value:
        return 'none'
    return 'see below' if dataclasses.is_dataclass(value) else 'see meaning'


@cache
def template() -> Any:
    """Return the content of the template."""
    return read_yaml(share_path('config/robots/template.yaml'))


def document_at(way: tuple[str | int, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a good robot file with every section, and the section at the end of a way."""
    document: Any = copy.deepcopy(template())
    joint = document['joints'][0]
    joint['measured'] = {'range_rad': [0.0, 0.3]}
    for one in document['joints']:
        one.update({**document['joint_defaults'], **one})
    del document['joint_defaults']
    if 'buses' in way:
        document['buses'] = {'one': {key: document.pop(key) for key in ('port', 'baud')}}
        for one in document['joints']:
            one['bus'] = 'one'
    section = document
    for step in way:
        section = section[step]
    return document, section


def faults_of(document: dict[str, Any]) -> list[str]:
    """Return what the reader finds wrong."""
    try:
        parse_robot(document, '')
    except ConfigError as error:
        return list(error.faults)
    return []


if __name__ == '__main__':
    PAGE.write_text(page(), encoding='utf-8')
    print(f'written: {PAGE}')
