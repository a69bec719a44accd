"""What the nodes say of themselves, in the few words and figures that the page shows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from kf_imitation.cockpit.actions import choices, tunable
from kf_imitation.data_types import BLENDSHAPES, CHANNELS
from kf_imitation.parameters.definition import Parameter
from kf_imitation.robot import RobotConfig
from kf_imitation.robot.joint_mapping import JointMapping

OK, WARN, ERROR = 0, 1, 2
# Diagnostics come once a second; a node that has said nothing for this long has gone.
SILENT_S = 3.5
MOSTLY = 0.5  # more of a change is what it mostly is
_TIMES = ' p50 / p99 [ms]'
_STOPPED = 'waiting for reset'  # ends the sentence of a head that is
# What a sentence holds -> what to do about it; the first that fits.
_ADVICE = (
    (_STOPPED, 'Press Reset when everybody is clear of the head.'),
    ('not confirmed', 'Cut the power of the servos if the head still moves.'),
    ('bus lost', 'Check power and cable of the servos; the head goes on by itself.'),
    ('is stuck', 'Free the joint, then press Clear error.'),
    ('pushed without moving', 'Look whether something is in the way of the joint.'),
    ('is warm', 'Let the head rest, or lower its gains.'),
    ('no frames arrive', 'Check the camera: kf_imitation doctor --source 0.'),
    ('waiting for', 'Connect the camera; it is opened by itself.'),
    ('no face', 'Look into the camera from 0.5 to 1 m, with light from the front.'),
    ('not configured', 'Start it: ros2 lifecycle set /servo configure, then activate.'),
)
_RIVALS = 'Two heads have one name. Give one a namespace or a ROS domain of its own.'
_PARTS = (('servo', 'head'), ('keyframe', 'face'), ('camera', 'camera'))


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The newest diagnostics of a node.

    Attributes:
        level: OK, WARN or ERROR.
        sentence: its state.
        values: details by name.
        heard_s: when it came, of any steady clock.
    """

    level: int
    sentence: str
    values: Mapping[str, str]
    heard_s: float


def health(
    statuses: Mapping[str, NodeStatus],
    now_s: float,
    stopped: bool = False,
    rivals: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the state of a run for the page.

    Args:
        statuses: by node.
        now_s: of the same clock as heard_s.
        stopped: servo/authority says so, which is earlier than the diagnostics.
        rivals: processes of other servo nodes of this name, which the page does not show.

    Returns:
        level, sentence and advice; nodes [name, level, sentence]; stages [name, p50, p99 in ms];
        details of the servo node by name, its joints among them.
    """
    alive = {name: s for name, s in statuses.items() if now_s - s.heard_s < SILENT_S}
    if 'servo' in alive:
        said = [f'{label}: {alive[node].sentence}' for node, label in _PARTS if node in alive]
        sentence = '; '.join(said)
        level = max(alive[node].level for node, _ in _PARTS if node in alive)
        if 'camera' in alive and alive['camera'].sentence.startswith('at the end of'):
            sentence = f'{said[0]}; {alive["camera"].sentence}'  # no frames come, nor should they
            level = alive['servo'].level
        known = _STOPPED in alive['servo'].sentence
        if stopped or known:  # whom it would follow is beside the point
            sentence = said[0] if known else f'head: stopped; {_STOPPED}'
            level = max(WARN, alive['servo'].level)
        advice = next((do for text, do in _ADVICE if level and text in sentence), '')
        if rivals:
            shown = alive['servo'].values.get('process', '')
            sentence += f' (process {shown}; not shown: a second head, {" and ".join(rivals)})'
            level, advice = ERROR, f'{_RIVALS} {advice}'.rstrip()
    else:
        advice = 'Start it: kf_imitation mimic, or ros2 launch kf_imitation mimic.launch.py.'
        sentence, level = 'the servo node is not running: nothing moves the head', ERROR
        if 'servo' in statuses:
            silent_s = now_s - statuses['servo'].heard_s
            sentence = f'nothing was heard of the servo node for {silent_s:.0f} s'
            advice = f'A busy computer may be late. If the run has ended: {advice}'
    return {
        'level': level,
        'sentence': sentence[:1].upper() + sentence[1:],
        'advice': advice,
        'nodes': [[name, s.level, s.sentence] for name, s in sorted(alive.items())],
        'stages': [row for _, s in sorted(alive.items()) for row in stage_times(s.values)],
        'servo': dict(alive['servo'].values) if 'servo' in alive else {},
        'rates': {
            f'{name} {key}': value
            for name, s in sorted(alive.items())
            for key, value in s.values.items()
            if key.endswith('[Hz]')
        },
    }


def recording_state(
    statuses: Mapping[str, NodeStatus],
    now_s: float,
    is_ours: bool,
    waits_for: str,
    last: str,
    failed: bool,
) -> dict[str, Any]:
    """Return what the page says about recordings.

    Args:
        statuses: by node; `recorder` may be ours, or that of the run.
        now_s: of the same clock as heard_s.
        is_ours: a recording of the page is under way.
        waits_for: what ours is doing where nothing was heard of it.
        last: what became of the last one of the page; ''.
        failed: it ended by itself.

    Returns:
        sentence; is_ours; bad, for one that failed.
    """
    heard = statuses.get('recorder')
    if heard is not None and now_s - heard.heard_s < SILENT_S and (is_ours or not last):
        figures = [
            f'{heard.values[key]} {unit}'
            for key, unit in (('recorded [s]', 's'), ('size [MB]', 'MB'))
            if key in heard.values
        ]
        sentence = ', '.join([heard.sentence, *figures])
    else:
        sentence = waits_for if is_ours else last
    return {'sentence': sentence, 'is_ours': is_ours, 'bad': failed}


def stage_times(values: Mapping[str, str]) -> list[tuple[str, float, float]]:
    """Return name, median and 99th percentile [ms] of what a node times."""
    rows = []
    for key, value in values.items():
        if key.endswith(_TIMES):
            p50, _, p99 = value.partition(' / ')
            rows.append((key.removesuffix(_TIMES), float(p50), float(p99)))
    return rows


def jog_refusal(owners: Mapping[str, str], joint: str, own_name: str) -> str:
    """Return why a joint cannot be jogged now; '' if it can, or if nobody told who moves it.

    Args:
        owners: of each joint, as servo/authority says.
        joint: to be moved.
        own_name: of the node that would send the jog.
    """
    owner = owners.get(joint, '')
    if owner == 'stop':
        return 'the head is stopped: press Reset first'
    if owner == 'nobody':
        return f'{joint} takes no commands now'
    for moved, by in owners.items():
        if by.startswith('trajectory') and own_name not in by.split():
            return f'{moved} is moved by the {by}: wait for its end, or press Neutral'
    return ''


def reason(values: Mapping[str, float]) -> str:
    """Return in words why a frame became a keyframe.

    Args:
        values: of its keyframe/explanation; NaN is unknown.
    """
    known = {name: value for name, value in values.items() if isfinite(value)}
    parts = [f'change {known["score"]:.2f} of 1'] if 'score' in known else []
    if known.get('prominence', 0) > 0:
        parts.append(f'{known["prominence"]:.2f} more than around it')
    if 'since_keyframe_s' in known:
        parts.append(f'{known["since_keyframe_s"]:.1f} s after the last one')
    if known.get('head_share', 0) > MOSTLY:
        parts.append('mostly the head turning')
    return ', '.join(parts)


def finite(values: Iterable[float], digits: int = 4) -> list[float | None]:
    """Return numbers for JSON; None in place of NaN and infinity."""
    return [round(float(v), digits) if isfinite(v) else None for v in values]


def about_robot(robot: RobotConfig, mapping: JointMapping) -> dict[str, Any]:
    """Return what the page has to know of a robot."""
    return {
        'name': robot.name,
        'joints': [
            {
                'name': joint.name,
                'low': joint.limits_rad[0],
                'high': joint.limits_rad[1],
                'neutral': joint.neutral_rad,
                'most_a': joint.max_current_a,
            }
            for joint in robot.joints
        ],
        'channels': list(CHANNELS),
        'shown': mapping.used.tolist(),
        'shapes': list(BLENDSHAPES),
        'shown_shapes': mapping.used_shapes.tolist(),
    }


def about_tuning() -> dict[str, list[dict[str, Any]]]:
    """Return the parameters that the page may set, by node."""
    return {
        node: [_about_parameter(p) for p in table.values()] for node, table in tunable().items()
    }


def _about_parameter(parameter: Parameter) -> dict[str, Any]:
    one_of = choices(parameter)  # may look for cameras
    return {
        'name': parameter.name,
        'default': parameter.default,
        'about': parameter.description,
        'unit': parameter.unit,
        'low': parameter.minimum,
        'high': parameter.maximum,
        'one_of': one_of,
        'panel': parameter.panel,
        'fixed': bool(parameter.path) and not one_of,
        'of_run': parameter.path == 'camera',  # what is seen, not how: not saved with the rest
    }
