"""Which frames of a clip become poses, and when that is known.

peak, settle, travel, combined: the keyframe modes, with their commit delay.
every_frame: each frame with a face, at once.
uniform: as many frames as the default mode chose, evenly spaced, at once; uniform_<mode>: as many
as that mode chose.
frame_difference: peaks of the frame difference instead of the model's score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FrameScore
from kf_imitation.errors import ConfigError
from kf_imitation.evaluation.imitation.clip import Clip
from kf_imitation.evaluation.methods import load_methods
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.modes import MODES
from kf_imitation.parameters.settings import DetectorSettings

EVERY_FRAME = 'every_frame'  # the only one without the reflex lane, which it would repeat


@dataclass(frozen=True, slots=True)
class Pose:
    """One frame that a method sends to the robot.

    Attributes:
        frame: its place in the clip.
        sent_ns: when it is sent, never before the frame.
    """

    frame: int
    sent_ns: int


def method_names(default_mode: str, chosen: Sequence[str] = ()) -> list[str]:
    """Return the names of all methods, or check those chosen.

    Args:
        default_mode: the one that `uniform` is compared with.
        chosen: names to check; none means all.

    Raises:
        ConfigError: unknown names, all of them.
    """
    others = [f'uniform_{mode}' for mode in MODES if mode != default_mode]
    known = [*MODES, EVERY_FRAME, 'uniform', *others, 'frame_difference']
    problems = [f'{m!r} must be one of {", ".join(known)}' for m in chosen if m not in known]
    if problems:
        raise ConfigError('--imitation-methods', problems)
    return list(chosen) or known


def poses_of(clip: Clip, method: str, settings: DetectorSettings) -> list[Pose]:
    """Return the frames that a method sends, in order of time.

    Args:
        clip: prepared.
        method: one of method_names.
        settings: of the default mode; other modes take all but the mode from it.
    """
    if method in MODES:
        return selected(clip.scores, replace(settings, mode=method), clip.smoothing)
    if method == 'frame_difference':
        tuned = load_methods([method], replace(settings, mode='peak'), 1)[0]  # evaluate.yaml
        return selected(clip.differences, tuned.settings, tuned.smoothing)
    if method == EVERY_FRAME:
        return [Pose(i, int(stamp)) for i, stamp in enumerate(clip.stamps_ns)]
    mode = method.removeprefix('uniform').strip('_') or settings.mode
    return uniform_poses(clip.stamps_ns, len(poses_of(clip, mode, settings)))


def selected(
    scores: Sequence[FrameScore], settings: DetectorSettings, smoothing: Smoothing
) -> list[Pose]:
    """Return the keyframes that the online search finds in raw scores."""
    selector = KeyframeSelector(settings, smoothing)
    keyframes = [k for score in scores for k in selector.push(score).keyframes]
    keyframes += selector.flush().keyframes
    first = scores[0].index
    return [Pose(k.index - first, k.committed_stamp_ns) for k in keyframes]


def uniform_poses(stamps_ns: NDArray[np.int64], count: int) -> list[Pose]:
    """Return evenly spaced frames, each in the middle of its part of the clip.

    Args:
        stamps_ns: (N,) int64.
        count: how many.
    """
    places = (np.arange(count) + 0.5) * len(stamps_ns) / max(count, 1)
    return [Pose(int(place), int(stamps_ns[int(place)])) for place in places]
