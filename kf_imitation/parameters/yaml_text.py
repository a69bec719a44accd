"""Reading YAML files of users: YAML 1.2 values, nothing silently dropped, nothing without bound.

PyYAML alone reads YAML 1.1, where `no` is false, `1e6` a text and `012` ten, and of a key given
twice it keeps the second.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from kf_imitation.errors import ConfigError

_MOST_BYTES = 4_000_000
_MOST_DEPTH = 50
_MOST_NODES = 100_000  # with every alias written out
_LEADING_ZERO = re.compile(r'[-+]?0[0-9]+')


def read_yaml(path: Path) -> Any:
    """Return the document of a YAML file; None for one without content.

    Raises:
        ConfigError: it cannot be read, is not YAML, or says one thing twice.
    """
    try:
        with path.open('rb') as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError(str(path), [f'is larger than {_MOST_BYTES // 1_000_000} MB'])
        loader = _Loader(content)
        document = loader.get_single_data()
    except OSError as error:
        raise ConfigError(str(path), [f'cannot be read: {error.strerror}']) from error
    except yaml.YAMLError as error:
        raise ConfigError(str(path), [f'is not YAML: {_in_words(error)}']) from error
    except (ValueError, AttributeError, OverflowError) as error:  # of a tag like !!timestamp
        raise ConfigError(str(path), [f'has a value that is not what it says: {error}']) from error
    if loader.faults:
        raise ConfigError(str(path), loader.faults)
    return document


def number_hint(value: object) -> str:
    """Return what to write where a number was wanted, or '' when nobody knows."""
    if isinstance(value, float) and value.is_integer():
        return f' (write {int(value)})'
    if not isinstance(value, str):
        return ''
    plain = value.strip().replace('_', '').replace(',', '.')
    try:
        float(plain)
    except ValueError:
        return ''
    return f' (write {plain} without quotes)' if plain == value else f' (write {plain})'


def text_hint(value: object) -> str:
    """Return what to write where a text was wanted and a number or nothing is there, or ''."""
    if value is None:
        return " (write '' for none)"
    return f" (write '{value}', with quotes)" if isinstance(value, (bool, int, float)) else ''


class _Loader(yaml.SafeLoader):
    """SafeLoader with the core schema of YAML 1.2, merge keys, and bounds.

    Attributes:
        faults: what the document says twice or unclearly, one sentence each.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.faults: list[str] = []
        self._depth = 0
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node; every alias counts as large as what it stands for."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        here: Any = event.start_mark
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            problem = f'is nested more than {_MOST_DEPTH} deep'
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=here)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and node not in self._sizes:
            if isinstance(event, yaml.AliasEvent):  # its own composition has not ended
                problem = f'*{event.anchor} contains itself'
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=here)
            self._sizes[node] = 1 + sum(self._sizes[child] for child in _children(node))
            if self._sizes[node] > _MOST_NODES:
                problem = f'holds more than {_MOST_NODES} values with its aliases written out'
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=here)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping; note the keys that it has twice."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                self.faults.append(
                    f'{key.value} is given twice, in lines {lines[name]} and {line}'
                )
            lines[name] = line
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Construct a whole number; one with a leading zero is not clear."""
        text = str(self.construct_scalar(node)).lower()
        if _LEADING_ZERO.fullmatch(text):
            self.faults.append(
                f'{text} in line {node.start_mark.line + 1} is octal to some programs; write '
                f"{int(text)}, or '{text}' with quotes for a text"
            )
            return int(text)
        return int(text, 0)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ('null', r'~|null|Null|NULL|', ['~', 'n', 'N', '']),
    ('bool', r'true|True|TRUE|false|False|FALSE', list('tTfF')),
    ('int', r'[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+', list('-+0123456789')),
    (
        'float',
        r'[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?'
        r'|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)',
        list('-+.0123456789'),
    ),
    ('merge', r'<<', ['<']),
):
    _Loader.add_implicit_resolver(
        f'tag:yaml.org,2002:{_tag}', re.compile(rf'^(?:{_pattern})$'), _first
    )
_Loader.add_constructor('tag:yaml.org,2002:int', _Loader.construct_yaml_int)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _in_words(error: yaml.YAMLError) -> str:
    """Return place and fault in one line."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return ' '.join(str(error).split())
    hint = ' (indent with spaces, not with tabs)' if r"'\t'" in str(error.problem) else ''
    mark = error.problem_mark
    return f'line {mark.line + 1}, column {mark.column + 1}: {error.problem}{hint}'
