"""The curves of a report: channels of person and robot, joints; read from a bag."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import CHANNELS
from kf_imitation.replay.summary_figure import joint_groups
from kf_imitation.reporting.recording import Recording

# A curve with more points than a screen has columns gains nothing.
_MOST_POINTS = 3000
_CHANNEL_GROUPS = (
    ('mouth', ('jaw_open', 'mouth_pucker', 'lip_press')),
    ('mouth corners', tuple(c for c in CHANNELS if c.startswith(('mouth_smile', 'mouth_frown')))),
    ('eyes', tuple(c for c in CHANNELS if c.startswith('eye_'))),
    ('brows', tuple(c for c in CHANNELS if c.startswith('brow_'))),
    ('gaze', ('gaze_yaw', 'gaze_pitch')),
    ('head', ('head_yaw', 'head_pitch', 'head_roll')),
)


def channel_groups(recording: Recording) -> list[dict[str, Any]]:
    """Return the channels of the person at keyframes, and of the robot all the time.

    A bag with joints of another robot gets no channels of the robot.
    """
    expression, joints = recording.signals('face/expression'), recording.signals('joint_states')
    if expression is None:
        return []
    stamps, names, values = expression
    person_s = rounded(recording.seconds(stamps), 3)
    robot: NDArray[np.float64] | None = None
    robot_s: list[float] = []
    if joints is not None and recording.shown is not None:
        thin = thinning(len(joints.stamps))
        robot = recording.shown[::thin]
        robot_s = rounded(recording.seconds(joints.stamps[::thin]), 3)
    groups = []
    for title, members in _CHANNEL_GROUPS:
        lines = []
        for name in members:
            if name not in names:
                continue
            line: dict[str, Any] = {'name': _short(name, title)}
            person = rounded(values[:, names.index(name)], 4)
            if robot is None:
                line |= {'time_s': person_s, 'value': person}
            else:
                line |= {
                    'time_s': robot_s,
                    'value': rounded(robot[:, CHANNELS.index(name)], 4),
                    'other': person,
                    'other_time_s': person_s,
                    'other_name': 'person',
                    'other_mode': 'markers',
                }
            lines.append(line)
        if lines:
            groups.append({'title': title, 'lines': lines})
    return groups


def _short(channel: str, title: str) -> str:
    """Return a channel's name without what the title of its group says already."""
    common = {'mouth corners': 'mouth_', 'eyes': 'eye_', 'brows': 'brow_'}
    return channel.removeprefix(common.get(title, f'{title}_')).replace('_', ' ')


def joint_curves(recording: Recording) -> list[dict[str, Any]]:
    """Return commanded and present angles [rad] of every joint."""
    joints, commands = recording.signals('joint_states'), recording.signals('servo/joint_commands')
    if joints is None:
        return []
    stamps, names, present = joints
    commanded: NDArray[np.float64] | None = None
    command_s: list[float] = []
    thin = thinning(len(stamps))
    if commands is not None and commands.names == names:
        commanded = commands.values[::thin]
        command_s = rounded(recording.seconds(commands.stamps[::thin]), 3)
    time_s = rounded(recording.seconds(stamps[::thin]), 3)
    groups = []
    for title, indices in joint_groups(names):
        lines = []
        for index in indices:
            line: dict[str, Any] = {
                'name': names[index].removeprefix(title).strip('_') or 'present',
                'time_s': time_s,
                'value': rounded(present[::thin, index], 4),
            }
            if commanded is not None:
                line |= {
                    'other': rounded(commanded[:, index], 4),
                    'other_time_s': command_s,
                    'other_name': 'commanded',
                }
            lines.append(line)
        groups.append({'title': title.replace('_', ' '), 'lines': lines})
    return groups


def joint_sizes(recording: Recording) -> list[list[str]]:
    """Return how far each joint moved and how well it followed, as rows of a table.

    Returns:
        Name, lowest and highest angle [rad], share of the limits, and root mean square of what is
        commanded less what is present [rad] where both have the same stamps.
    """
    joints, commands = recording.signals('joint_states'), recording.signals('servo/joint_commands')
    if joints is None:
        return []
    stamps, names, present = joints
    errors: dict[str, str] = {}
    if commands is not None and commands.names == names:
        _, here, there = np.intersect1d(stamps, commands.stamps, return_indices=True)
        if len(here):
            off = np.sqrt(np.mean((commands.values[there] - present[here]) ** 2, axis=0))
            errors = {name: f'{value:.4f}' for name, value in zip(names, off, strict=True)}
    rows = []
    for joint in recording.robot.joints:
        if joint.name in names:
            angles = present[:, names.index(joint.name)]
            low, high = float(angles.min()), float(angles.max())
            share = (high - low) / (joint.limits_rad[1] - joint.limits_rad[0])
            cells = [f'{low:+.3f}', f'{high:+.3f}', f'{share:.0%}', errors.get(joint.name, '–')]
            rows.append([joint.name.replace('_', ' '), *cells])
    return rows


def rounded(values: NDArray[np.floating[Any]], digits: int) -> list[float]:
    """Return numbers that JSON writes in few characters."""
    result: list[float] = np.round(values, digits).tolist()
    return result


def thinning(count: int) -> int:
    """Return every how many-th point of a curve is shown."""
    return max(1, math.ceil(count / _MOST_POINTS))
