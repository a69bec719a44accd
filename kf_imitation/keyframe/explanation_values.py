"""keyframe/explanation as named numbers; always the same names, so that plots have no gaps.

NaN stands for what is not known: a frame has no prominence, a baseline no fractions.
"""

from math import nan

from kf_imitation.data_types import FloatArray, FrameScore, Keyframe
from kf_imitation.keyframe.explanation import Explanation, split_change
from kf_imitation.keyframe.scoring.pair_scorer import CHANGE_NAMES

# docs/inspect.md says what each means.
NAMES = (
    'score',
    'threshold',
    'prominence',
    'flow_px',
    'face',
    'is_keyframe',
    'commit_delay_s',
    'latency_ms',
    'head_share',
    'score_without_head',
    'flow_share',
    'appearance_share',
    'still_share',
    'score_before',
    'score_after',
    'since_keyframe_s',
)


def frame_values(score: FrameScore, threshold: float, latency_ms: float) -> dict[str, float]:
    """Return the numbers of a frame whose score is final.

    Args:
        score: of the frame.
        threshold: what a keyframe's prominence has to pass.
        latency_ms: from capture to now.
    """
    return _filled(
        score=_number(score.score),
        threshold=threshold,
        prominence=0.0,
        flow_px=score.flow_px,
        face=float(score.region is not None),
        is_keyframe=0.0,
        commit_delay_s=0.0,
        latency_ms=latency_ms,
        **_what_moved(score.change),
    )


def keyframe_values(
    keyframe: Keyframe,
    latency_ms: float,
    change: FloatArray | None = None,
    explanation: Explanation | None = None,
    since_s: float = nan,
) -> dict[str, float]:
    """Return the numbers of a keyframe.

    Args:
        keyframe: of a detector.
        latency_ms: from capture to now.
        change: smoothed vector that the score was made from, or None.
        explanation: what the network saw it by, or None.
        since_s: time since the keyframe before it [s]; NaN for the first.
    """
    fractions = {}
    if explanation is not None:
        names = ('flow_share', 'appearance_share', 'still_share')
        fractions = {name: getattr(explanation, name) for name in names}
    return _filled(
        score=keyframe.score,
        threshold=keyframe.threshold,
        prominence=keyframe.prominence,
        flow_px=0.0,
        face=1.0,
        is_keyframe=1.0,
        commit_delay_s=keyframe.commit_delay_s,
        latency_ms=latency_ms,
        score_before=_number(keyframe.score_before),
        score_after=_number(keyframe.score_after),
        since_keyframe_s=since_s,
        **_what_moved(change),
        **fractions,
    )


def words(values: dict[str, float], explanation: Explanation | None) -> list[str]:
    """Return a keyframe's numbers in short lines for a picture."""
    lines = [f'keyframe: score {values["score"]:.2f}']
    if values['prominence'] > 0:  # mode peak
        lines[0] += f', prominence {values["prominence"]:.2f}'
    if explanation is not None:
        # Below 0 or above 1 they contradict each other: nothing for a picture.
        flow, appearance = (
            min(1.0, max(0.0, values[f'{name}_share'])) for name in ('flow', 'appearance')
        )
        lines.append(f'flow {flow:.0%}, appearance {appearance:.0%}')
        lines.append(f'head {values["head_share"]:.0%}')
        lines += [f'{name} {by:+.2f}' for name, by in explanation.split.strongest[:3]]
    return lines


def _filled(**known: float) -> dict[str, float]:
    return {name: known.get(name, nan) for name in NAMES}


def _number(score: float | None) -> float:
    return nan if score is None else score


def _what_moved(change: FloatArray | None) -> dict[str, float]:
    if change is None or len(change) != len(CHANGE_NAMES):
        return {}
    split = split_change(change)
    return {'head_share': split.head_share, 'score_without_head': split.score_without_head}
