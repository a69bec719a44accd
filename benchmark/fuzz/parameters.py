"""Parameter files: YAML of any shape, and the file of the package with damage.

A file is applied or rejected; what is applied keeps the rules of its parameters.
"""

import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from benchmark.fuzz.bounds import FuzzError
from benchmark.fuzz.damage import DAMAGES, damaged
from kf_imitation.errors import ConfigError
from kf_imitation.parameters.schema import PARAMETER_FILE, SCHEMA
from kf_imitation.paths import share_path
from kf_imitation.ros_graph.nodes import merged_parameters

NAMESPACES = st.sampled_from(('', 'robot1', '/a/b'))
ODD = ('no', '1e6', '012', '0x1F', '~', '', ' ', 'é²', '%', '../x', '1_000', '12:30:45')
SCALARS = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.none(),
    st.sampled_from(ODD),
    st.text(max_size=6),
    st.dates(),
    st.binary(max_size=4),
)
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=3), SCALARS)
)
_PLACES = ('/**', '/*', '/robot1', '/a/b', 'ros__parameters', '/**/servo', 'other_node')
_KEYS = st.one_of(st.sampled_from((*_PLACES, *SCHEMA)), st.text(max_size=4), st.integers())


@cache
def _names() -> st.SearchStrategy[str]:
    table = {
        name for section in SCHEMA.values() for p in section for name in (p.name, p.former_name)
    }
    of_rclpy = {'use_sim_time', 'qos_overrides./parameter_events.publisher.depth'}
    return st.one_of(st.sampled_from(sorted(table | of_rclpy)), st.text(max_size=6))


def documents() -> st.SearchStrategy[Any]:
    """Return documents that are nearly parameter files, and some that are far from it."""
    section = st.fixed_dictionaries({'ros__parameters': st.dictionaries(_names(), VALUES)})
    near = st.dictionaries(
        _KEYS, st.one_of(section, st.dictionaries(_KEYS, section, max_size=2)), max_size=3
    )
    return st.one_of(near, near, VALUES, st.dictionaries(_KEYS, VALUES, max_size=3))


def run(data: st.DataObject) -> Counter[str]:
    """Read one file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'params.yaml')
        if data.draw(st.booleans(), label='of the package'):
            good = share_path(PARAMETER_FILE).read_bytes()
            path.write_bytes(damaged(good, data.draw(DAMAGES, label='damage')))
        else:
            text = yaml.safe_dump(data.draw(documents(), label='document'), allow_unicode=True)
            path.write_text(text, encoding='utf-8', errors='replace')
        return _apply(path, data.draw(NAMESPACES, label='namespace'))


def _apply(path: Path, namespace: str) -> Counter[str]:
    before = path.read_bytes()
    try:
        values = merged_parameters(str(path), namespace)
    except ConfigError as error:
        if str(path) not in str(error):
            raise FuzzError(f'does not say which file: {error}') from error
        return Counter(rejected=1)
    for node, table in SCHEMA.items():
        for parameter in table:
            if problem := parameter.problem(values[node][parameter.name]):
                raise FuzzError(f'{node}.{problem} was let through')
    if path.read_bytes() != before:
        raise FuzzError('the file has changed')
    return Counter(applied=1)
