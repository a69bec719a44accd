"""What the page may ask for, each one something that any ROS user could call.

An action is checked here before it becomes a ROS call; the nodes check again and have the last
word.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from kf_imitation.camera.device_path import cameras
from kf_imitation.parameters.definition import Parameter, Value
from kf_imitation.parameters.schema import SCHEMA
from kf_imitation.robot import RobotConfig

# Services of the servo node without an argument.
TRIGGERS = ('stop', 'reset', 'neutral', 'clear_error')
# A jog moves slowly, and holds before expressions may move the joint again.
JOG_RAD_S = 0.5
JOG_SHORTEST_S = 0.3
JOG_HOLD_S = 4.0


class ActionError(Exception):
    """An action that cannot be carried out; the message is for the person at the page."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """servo/stop, servo/reset, servo/neutral, servo/clear_error."""

    service: str


@dataclass(frozen=True, slots=True)
class Torque:
    """servo/torque."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetParameter:
    """One live parameter of a node."""

    node: str
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Jog:
    """Move one joint, by servo/joint_trajectory."""

    joint: str
    position_rad: float


@dataclass(frozen=True, slots=True)
class Record:
    """cockpit/record, and before it the parameter record_images.

    Attributes:
        on: begin a bag; false closes it.
        images: record them too.
    """

    on: bool
    images: bool


@dataclass(frozen=True, slots=True)
class Calibrate:
    """landmarks/calibrate: begin, or cancel."""

    on: bool


Action = Trigger | Torque | SetParameter | Jog | Record | Calibrate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action.

    Attributes:
        done: it was carried out and confirmed.
        sentence: what happened, or why not.
    """

    done: bool
    sentence: str


Act = Callable[[Action], 'Future[Outcome]']

# Nodes whose live parameters the page shows.
TUNED_NODES = ('camera', 'keyframe', 'landmarks', 'servo')


def tunable() -> dict[str, dict[str, Parameter]]:
    """Return the live parameters of the nodes of a graph, by node and name."""
    return {node: {p.name: p for p in SCHEMA[node] if p.live} for node in TUNED_NODES}


def read_action(text: str, robot: RobotConfig) -> Action:
    """Turn what the page sent into an action.

    Args:
        text: JSON, `{"action": "jog", "joint": "jaw", "position_rad": 0.2}`.
        robot: whose joints and limits hold.

    Raises:
        ActionError: it is not an action, or breaks a rule.
    """
    try:
        document = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ActionError('an action is a JSON object') from error
    if not isinstance(document, dict):
        raise ActionError('an action is a JSON object')
    kind = document.pop('action', None)
    readers: dict[object, Callable[[dict[str, Any]], Action]] = {
        'torque': _torque,
        'set': _set,
        'record': _record,
        'calibrate': _calibrate,
        'jog': lambda fields: _jog(fields, robot),
        **{name: _trigger(name) for name in TRIGGERS},
    }
    if not isinstance(kind, str) or kind not in readers:
        raise ActionError(f'there is no action {_shown(kind)}')
    return readers[kind](document)


def choices(parameter: Parameter) -> list[str]:
    """Return the texts to choose from; a page may name a camera that is there, no other file."""
    return cameras() if parameter.path == 'camera' else list(parameter.one_of)


def jog_times_s(start_rad: float, goal_rad: float) -> tuple[float, float]:
    """Return when a jog arrives, and until when it holds [s from now]."""
    arrival_s = max(abs(goal_rad - start_rad) / JOG_RAD_S, JOG_SHORTEST_S)
    return arrival_s, arrival_s + JOG_HOLD_S


def _trigger(name: str) -> Callable[[dict[str, Any]], Action]:
    def read(fields: dict[str, Any]) -> Action:
        _expect(fields, {})
        return Trigger(name)

    return read


def _torque(fields: dict[str, Any]) -> Action:
    _expect(fields, {'on': bool})
    return Torque(fields['on'])


def _calibrate(fields: dict[str, Any]) -> Action:
    _expect(fields, {'on': bool})
    return Calibrate(fields['on'])


def _record(fields: dict[str, Any]) -> Action:
    _expect(fields, {'on': bool, 'images': bool})
    return Record(fields['on'], fields['images'])


def _set(fields: dict[str, Any]) -> Action:
    _expect(fields, {'node': str, 'name': str, 'value': (bool, int, float, str)})
    node, name, value = fields['node'], fields['name'], fields['value']
    parameter = tunable().get(node, {}).get(name)
    if parameter is not None and parameter.path and value not in choices(parameter):
        raise ActionError(f'{name} names a file, which no page may do: ros2 param set does')
    if parameter is None:
        raise ActionError(f'{_shown(node)} has no live parameter {_shown(name)}')
    if problem := parameter.problem(value):
        raise ActionError(problem)
    return SetParameter(node, name, float(value) if type(parameter.default) is float else value)


def _jog(fields: dict[str, Any], robot: RobotConfig) -> Action:
    _expect(fields, {'joint': str, 'position_rad': (int, float)})
    joint = next((joint for joint in robot.joints if joint.name == fields['joint']), None)
    if joint is None:
        raise ActionError(f'{_shown(fields["joint"])} is not a joint of {robot.name}')
    low, high = joint.limits_rad
    position_rad = fields['position_rad']
    if not low <= position_rad <= high:
        raise ActionError(
            f'{joint.name} = {position_rad:g} must be from {low:g} to {high:g} rad, its limits'
        )
    return Jog(joint.name, float(position_rad))


def _expect(fields: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]]) -> None:
    if set(fields) != set(kinds):
        raise ActionError(f'this action takes {", ".join(kinds) or "nothing else"}')
    for name, kind in kinds.items():
        allowed = kind if isinstance(kind, tuple) else (kind,)
        if type(fields[name]) not in allowed:
            raise ActionError(f'{name} = {_shown(fields[name])} has the wrong type')


def _no_number(name: str) -> float:
    raise ValueError(name)


def _shown(value: object) -> str:
    """Return a stranger's text, cut short, for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}…'
