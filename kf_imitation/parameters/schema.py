"""The parameters of every node by name, and files checked against them."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kf_imitation.errors import ConfigError
from kf_imitation.parameters.definition import Parameter, parameters_of, renamed
from kf_imitation.parameters.settings import NODES
from kf_imitation.parameters.yaml_text import read_yaml

SCHEMA: dict[str, tuple[Parameter, ...]] = {
    node: parameters_of(kind) for node, kind in NODES.items()
}
PARAMETER_FILE = 'config/kf_imitation.yaml'
_logger = logging.getLogger(__name__)


def check(node: str, values: Mapping[str, object]) -> list[str]:
    """Return every problem of a node's values (unknown names included), one sentence each."""
    table = {parameter.name: parameter for parameter in SCHEMA[node]}
    problems = []
    for name, value in values.items():
        if name not in table:
            problems.append(f'{node}.{name} is not a parameter of this node')
        elif problem := table[name].problem(value):
            problems.append(f'{node}.{problem}')
    return problems


def load_file(path: Path) -> dict[str, dict[str, Any]]:
    """Read a ROS parameter file and check it against the schema.

    Former names are taken for the present ones, with one warning in the log.

    Args:
        path: YAML with `<node>: ros__parameters: …`; nested keys and dotted keys are the same.

    Returns:
        Values by node and dotted parameter name; nodes that the file leaves out are missing.

    Raises:
        ConfigError: with every problem of the file.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise ConfigError(str(path), ['must be a mapping of node names'])
    problems: list[str] = []
    former: dict[str, str] = {}
    result: dict[str, dict[str, Any]] = {}
    for key, section in document.items():
        node = str(key).rsplit('/', 1)[-1]
        if node not in SCHEMA:
            problems.append(f'{key} is not a node (nodes: {", ".join(SCHEMA)})')
        elif not isinstance(section, dict) or not isinstance(section.get('ros__parameters'), dict):
            problems.append(f'{key} must have a mapping ros__parameters')
        else:
            result[node], old = renamed(SCHEMA[node], _flatten(section['ros__parameters']))
            former |= old
            problems += check(node, result[node])
    if problems:
        raise ConfigError(str(path), problems)
    if former:
        _logger.warning('%s: %s', path, former_names_text(former))
    return result


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


def _flatten(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f'{prefix}{key}'
        if isinstance(value, dict):
            flat.update(_flatten(value, f'{name}.'))
        else:
            flat[name] = value
    return flat
