"""Robot files: those of the package with odd values and with damage.

A file is a head or is rejected. A head has limits that hold, whatever a face does.
"""

import copy
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as st

from benchmark.fuzz.bounds import FuzzError
from benchmark.fuzz.damage import DAMAGES, damaged
from benchmark.fuzz.parameters import VALUES
from kf_imitation.data_types import CHANNELS, Expression
from kf_imitation.errors import ConfigError
from kf_imitation.parameters.yaml_text import read_yaml
from kf_imitation.paths import share_path
from kf_imitation.robot import RobotConfig, load_robot, robot_names
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.robot.urdf import description

NUMBERS = st.sampled_from((0, -1, 1e-300, 1e300, -0.0, 1e9, 255, 2**31, 3.14, 0.5, -0.5, 5))


def run(data: st.DataObject) -> Counter[str]:
    """Read one file; move the head that it describes."""
    name = data.draw(st.sampled_from(robot_names()), label='seed')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'head.yaml')
        if data.draw(st.integers(0, 2), label='kind') == 0:
            path.write_bytes(damaged(_text(name), data.draw(DAMAGES, label='damage')))
        else:
            document = copy.deepcopy(_document(name))
            for _ in range(data.draw(st.integers(1, 3), label='changes')):
                _change(document, data)
            path.write_text(yaml.safe_dump(document), encoding='utf-8', errors='replace')
        return _read(path)


@cache
def _text(name: str) -> bytes:
    return share_path(f'config/robots/{name}.yaml').read_bytes()


@cache
def _document(name: str) -> Any:
    return read_yaml(share_path(f'config/robots/{name}.yaml'))


def _change(document: Any, data: st.DataObject) -> None:
    """Replace, remove, rename or double something at any depth."""
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys), label='key')
        deeper = isinstance(place[key], (dict, list)) and place[key]
        if not deeper or data.draw(st.integers(0, 9), label='stop') == 0:
            break
        place = place[key]
    what = data.draw(st.sampled_from(('replaced', 'number', 'removed', 'doubled')), label='what')
    if what == 'replaced':
        place[key] = data.draw(VALUES, label='value')
    elif what == 'number':
        place[key] = data.draw(NUMBERS, label='number')
    elif what == 'removed':
        del place[key]
    elif isinstance(place, list):
        place.append(place[key])
    else:
        place[data.draw(st.text(max_size=5), label='name')] = place[key]


def _read(path: Path) -> Counter[str]:
    before = path.read_bytes()
    try:
        robot = load_robot(str(path))
    except ConfigError as error:
        if str(path) not in str(error):
            raise FuzzError(f'does not say which file: {error}') from error
        return Counter(rejected=1)
    _move(robot)
    if path.read_bytes() != before:
        raise FuzzError('the file has changed')
    return Counter(heads=1)


def _move(robot: RobotConfig) -> None:
    description(robot)
    mapping = JointMapping(robot)
    low, high = (np.array([joint.limits_rad[i] for joint in robot.joints]) for i in (0, 1))
    for value in (0.0, 1.0, -1e30, 1e30, np.nan, np.inf):
        values = np.full(len(CHANNELS), value, np.float32)
        goal = mapping.goals(Expression(0, values, np.ones_like(values)))
        if not (np.isfinite(goal).all() and (goal >= low).all() and (goal <= high).all()):
            raise FuzzError(f'channels of {value} lead to {goal}')
