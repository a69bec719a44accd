"""The two texts made from the definitions: config/kf_imitation.yaml and docs/parameters.md."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from kf_imitation.parameters.definition import Group, Parameter, members
from kf_imitation.parameters.schema import SCHEMA
from kf_imitation.parameters.settings import NODES

PARAMETER_PAGE = 'docs/parameters.md'
COMMAND = 'python -m kf_imitation.parameters'
_WIDTH = 99

_FILE_START = f"""\
# All parameters of all nodes, at their defaults; made by `{COMMAND}` from
# kf_imitation/parameters/settings.py. Copy what you change into a file of your own and give
# it as --params FILE or params:=FILE. [live] may be changed while the node runs:
# ros2 param set /keyframe detector.prominence 0.15
"""
_PAGE_START = f"""\
# Parameters

Made by `{COMMAND}` from `kf_imitation/parameters/settings.py`, as
`config/kf_imitation.yaml`, which holds the defaults. Values that
override them go into a file of your own: `kf_imitation mimic --params mine.yaml` or
`ros2 launch kf_imitation mimic.launch.py params:=mine.yaml`. `kf_imitation params save` writes
such a file from running nodes. **Live** parameters may be changed while the node runs:
`ros2 param set /keyframe detector.prominence 0.15`; the others are read at start only.

A file of yours is applied as ROS applies it: `/**` is every node, `/**/servo` the servo node in
any namespace, `/robot1/servo` or `servo` nested in `robot1` that of one robot, `/*/servo` one
level deep, and plain `servo` the one without a namespace. Of several sections that fit, the later
one wins. What `ros2 param dump` writes can be used as it is. An empty file changes nothing;
sections of other packages' nodes are left out with a warning. A key given twice is an error, and
so is a number such as `010`, which some programs read as octal.
"""
_FORMER_START = """
## Former names

They work in this release, with a warning; the next one rejects them.

| node | former name | now |
|---|---|---|
"""


def parameter_file() -> str:
    """Return the text of config/kf_imitation.yaml."""
    lines = []
    for node, kind in NODES.items():
        lines += ['', f'/**/{node}:', '  ros__parameters:', *_yaml_lines(kind, ' ' * 4)]
    return _FILE_START + '\n'.join(lines) + '\n'


def _yaml_lines(kind: type, indent: str) -> Iterator[str]:
    for name, member in members(kind).items():
        if isinstance(member, Parameter):
            yield from _comment(_about(member), indent)
            yield from _entry(name, member.default, indent)
        elif member.prefixed:
            yield from _comment(member.description, indent)
            yield f'{indent}{name}:'
            yield from _yaml_lines(member.kind, indent + '  ')
        else:
            yield from _yaml_lines(member.kind, indent)


def _entry(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield f'{indent}{name}:'
        for key, item in value.items():
            yield from _entry(key, item, indent + '  ')
    else:
        yield indent + yaml.safe_dump({name: value}, allow_unicode=True).rstrip()


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f'{indent}# ',
        subsequent_indent=f'{indent}# ',
        break_on_hyphens=False,
    )


def _about(parameter: Parameter) -> str:
    rule = _rule(parameter)
    return parameter.description + (f' ({rule})' if rule else '') + ' [live]' * parameter.live


def _rule(parameter: Parameter) -> str:
    if parameter.one_of:
        return ', '.join(map(repr, parameter.one_of))
    bounded = parameter.minimum is not None or parameter.maximum is not None
    return parameter.rule() if bounded else ''


def parameter_page() -> str:
    """Return the text of docs/parameters.md."""
    sections = [_section(node, kind) for node, kind in NODES.items()]
    former = [
        f'| {node} | `{parameter.former_name}` | `{parameter.name}` |'
        for node, table in SCHEMA.items()
        for parameter in table
        if parameter.former_name
    ]
    end = _FORMER_START + '\n'.join(former) + '\n' if former else ''
    return _PAGE_START + ''.join(sections) + end


def _section(node: str, kind: type) -> str:
    head = '| parameter | default | allowed | live | meaning |\n|---|---|---|---|---|\n'
    return f'\n## {node}\n\n{head}' + '\n'.join(_rows(kind, '')) + '\n'


def _rows(kind: type, prefix: str) -> Iterator[str]:
    for name, member in members(kind).items():
        if isinstance(member, Group):
            yield from _rows(member.kind, f'{prefix}{name}.' if member.prefixed else prefix)
            continue
        default, whole = member.default, f'{prefix}{name}'
        if isinstance(default, Mapping):
            whole, default = f'{whole}.<channel>', next(iter(default.values()))
        shown = yaml.safe_dump([default], default_flow_style=True, allow_unicode=True).strip()
        cells = [f'`{whole}`', f'`{shown[1:-1]}`', _rule(member), 'live' * member.live]
        yield '| ' + ' | '.join([*cells, member.description.replace('|', '\\|')]) + ' |'
