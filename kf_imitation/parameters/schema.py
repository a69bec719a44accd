"""The parameters of every node by name, and files checked against them."""

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kf_imitation.errors import ConfigError, nearest
from kf_imitation.parameters.definition import Parameter, parameters_of, renamed
from kf_imitation.parameters.settings import NODES
from kf_imitation.parameters.yaml_text import read_yaml
from kf_imitation.paths import user_path

SCHEMA: dict[str, tuple[Parameter, ...]] = {
    node: parameters_of(kind) for node, kind in NODES.items()
}
PARAMETER_FILE = 'config/kf_imitation.yaml'
# What every node of rclpy has besides: `ros2 param dump` writes them too.
_OF_RCLPY = ('use_sim_time', 'start_type_description_service')
_QOS = 'qos_overrides.'
_SWITCHES = {'yes': True, 'y': True, 'on': True, 'no': False, 'n': False, 'off': False}
_SCHEME = re.compile(r'[a-z][a-z0-9+.-]+:', re.IGNORECASE)
_logger = logging.getLogger(__name__)


def check(node: str, values: Mapping[str, object]) -> list[str]:
    """Return every problem of a node's values (unknown names included), one sentence each."""
    table = {parameter.name: parameter for parameter in SCHEMA[node]}
    problems = []
    for name, value in values.items():
        if _is_of_rclpy(name):
            if name in _OF_RCLPY and type(value) is not bool:
                problems.append(f'{node}.{name} = {value!r} must be true or false')
        elif name not in table:
            hint = nearest(name, table)
            problems.append(f'{node}.{name} is not a parameter of this node{hint}')
        elif problem := table[name].problem(value):
            problems.append(f'{node}.{problem}')
    return problems


def changed(values: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return what is not as defined, as node.name; the argument has values by node and name."""
    return {
        f'{node}.{p.name}': values[node][p.name]
        for node, table in SCHEMA.items()
        for p in table
        if values.get(node, {}).get(p.name, p.default) != p.default
    }


def load_file(path: Path, namespace: str = '') -> dict[str, dict[str, Any]]:
    """Read a ROS parameter file as rcl applies it, and check it against the schema.

    Of several sections that fit a node (`/keyframe`, `/**`, `/*/keyframe` …) the later one wins.
    A section of another namespace or another package's node is left out. Former names are taken
    for the present ones, with one warning in the log.

    Args:
        path: YAML with `<node>: ros__parameters: …`, namespaces nested or with slashes; nested
            keys and dotted keys are the same. An empty file changes nothing.
        namespace: of the nodes.

    Returns:
        Values by node and dotted parameter name; nodes that the file leaves out are missing.

    Raises:
        ConfigError: with every problem of the file.
    """
    document = read_yaml(path)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(str(path), ['must be a mapping of node names'])
    problems: list[str] = []
    former: dict[str, str] = {}
    result: dict[str, dict[str, Any]] = {}
    sections = list(_sections(document, '', problems))
    for place, values in sections:
        last = place.rsplit('/', 1)[-1]
        if last not in SCHEMA and not last.startswith('*'):
            if hint := nearest(last, SCHEMA):
                problems.append(f'{place} is not a node{hint}')
            else:
                nodes = ', '.join(SCHEMA)
                _logger.warning(
                    '%s: section %s is none of our nodes (%s): left out', path, place, nodes
                )
            continue
        flat = _flatten(values, f'{place}.', problems)
        fits = _pattern(place)
        for node in (last,) if last in SCHEMA else SCHEMA:
            named, old = renamed(SCHEMA[node], flat)
            named = _as_wanted(node, named, path.parent)
            if last in SCHEMA:
                problems += check(node, named)
            else:  # for every node: each takes what it knows
                known = {parameter.name: parameter for parameter in SCHEMA[node]}
                named = {n: v for n, v in named.items() if n in known or _is_of_rclpy(n)}
                problems += check(node, named)
            if named and fits.fullmatch(f'{_absolute(namespace)}/{node}'):
                former |= old
                result.setdefault(node, {}).update(named)
        if last not in SCHEMA:
            problems += _known_nowhere(place, flat)
    if problems:
        raise ConfigError(str(path), list(dict.fromkeys(problems)))
    if former:
        _logger.warning('%s: %s', path, former_names_text(former))
    if any(values for _, values in sections) and not result:
        _logger.warning(
            '%s: no section is for a node in namespace %s; %s: would hold in every namespace',
            path,
            _absolute(namespace) or '/',
            '/**/NODE',
        )
    return result


def _sections(
    tree: Mapping[Any, Any], place: str, problems: list[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what stands under each ros__parameters, with the name of its node."""
    for key, value in tree.items():
        if key == 'ros__parameters':
            if isinstance(value, dict) or value is None:
                yield place, value or {}
            else:
                problems.append(f'{place} must have a mapping ros__parameters')
        elif isinstance(value, dict):
            yield from _sections(value, f'{place}{_absolute(str(key))}', problems)
        elif value is not None:
            problems.append(f'{place or key} must have a mapping ros__parameters')


def _absolute(name: str) -> str:
    """Return a name with a slash in front and none at the end; '' stays empty."""
    return '/' + name.strip('/') if name.strip('/') else ''


def _pattern(place: str) -> re.Pattern[str]:
    """Return what matches the full names of a section's nodes: `*` one token, `**` any number."""
    tokens = {'**': r'(/\w+)*', '*': r'/\w+'}
    parts = place.strip('/').split('/')
    return re.compile(''.join(tokens.get(part, '/' + re.escape(part)) for part in parts))


def _is_of_rclpy(name: str) -> bool:
    return name in _OF_RCLPY or name.startswith(_QOS)


def _as_wanted(node: str, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Take yes and off for true and false where that is wanted, and paths from a folder."""
    wanted = {p.name: p for p in SCHEMA[node]}
    result = dict(values)
    for name, value in values.items():
        if not isinstance(value, str) or not value:
            continue
        if name in _OF_RCLPY or (name in wanted and type(wanted[name].default) is bool):
            result[name] = _SWITCHES.get(value.lower(), value)
        elif name in wanted and wanted[name].path:
            result[name] = _in_folder(value, folder, wanted[name].path)
    return result


def _in_folder(text: str, folder: Path, kind: str) -> str:
    """Return a path seen from a folder; names, cameras and URLs as they are."""
    path = user_path(text, folder.absolute())
    looks_like_one = ('/' in text or '.' in text) and not _SCHEME.match(text)
    is_path = kind == 'path' or looks_like_one or path.exists() or text.startswith('file://')
    return str(path) if is_path else text


def _known_nowhere(place: str, values: Mapping[str, Any]) -> list[str]:
    """Return the names of a section for all nodes that no node has but one nearly has."""
    known = [name for table in SCHEMA.values() for p in table for name in (p.name, p.former_name)]
    problems = []
    for name in values:
        if name in known or _is_of_rclpy(name):
            continue
        if hint := nearest(name, known, 0.75):
            problems.append(f'{place}.{name} is not a parameter{hint}')
        else:
            _logger.warning('%s.%s is a parameter of none of our nodes: left out', place, name)
    return problems


def former_names_text(former: Mapping[str, str]) -> str:
    """Return one sentence about names of the last release: what they are called now."""
    pairs = {}
    for old, new in former.items():
        (*old_group, old_end), (*new_group, new_end) = old.split('.'), new.split('.')
        if old_end == new_end:  # the group has another name, with all that is in it
            old, new = '.'.join([*old_group, '*']), '.'.join([*new_group, '*'])
        pairs[old] = new
    names = ', '.join(f'{old} is now {new}' for old, new in pairs.items())
    return f'{names}; former names work in this release only'


def _flatten(
    tree: Mapping[Any, Any], place: str, problems: list[str], prefix: str = ''
) -> dict[str, Any]:
    """Return the values by dotted name; note those given twice, nested and with dots."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f'{prefix}{key}'
        nested = isinstance(value, dict)
        inner = _flatten(value, place, problems, f'{name}.') if nested else {name: value}
        problems += [f'{place}{twice} is given twice' for twice in inner if twice in flat]
        flat |= inner
    return flat
