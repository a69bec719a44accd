"""The tables of a replay; the same run writes the same bytes."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from kf_imitation.data_types import (
    BLENDSHAPES,
    CHANNELS,
    FRAME_CHANNELS,
    HEAD_CHANNELS,
    Expression,
    FrameScore,
    Keyframe,
)
from kf_imitation.replay.record import JointTrace, PosedKeyframe

SCORE_COLUMNS = ('frame', 'stamp_s', 'score', 'keyframe', 'committed_s')


def seconds(stamp_ns: int) -> str:
    """Write a stamp as seconds with all nine digits, so that it reads back to the nanosecond."""
    sign = '-' if stamp_ns < 0 else ''
    whole, rest = divmod(abs(stamp_ns), 1_000_000_000)
    return f'{sign}{whole}.{rest:09d}'


def fixed(value: float) -> str:
    """Write a number with six digits after the point, and never a minus zero."""
    return f'{round(float(value), 6) + 0.0:.6f}'


def write_scores(path: Path, scores: Iterable[FrameScore], keyframes: Iterable[Keyframe]) -> None:
    """Write scores.csv: one row for every frame.

    Args:
        path: to write.
        scores: of the frames; a frame without a score has an empty cell, but the very first
            frame has nothing before it and counts as unchanged: 0, as the target score does.
        keyframes: chosen among them; a row that is one has 1 in `keyframe` and the stamp of its
            commitment.
    """
    committed = {k.index: k.committed_stamp_ns for k in keyframes}
    rows = (
        (
            str(s.index),
            seconds(s.stamp_ns),
            _score_cell(s),
            '1' if s.index in committed else '0',
            seconds(committed[s.index]) if s.index in committed else '',
        )
        for s in scores
    )
    _write(path, SCORE_COLUMNS, rows)


def _score_cell(score: FrameScore) -> str:
    if score.score is not None:
        return fixed(score.score)
    return fixed(0.0) if score.index == 0 else ''


def write_expressions(path: Path, posed: Iterable[PosedKeyframe]) -> None:
    """Write expression.csv: one row for every keyframe that got an expression.

    Columns: stamp_s, committed_s, the channels, then their confidences as `<channel>_confidence`.
    """
    columns = ('stamp_s', 'committed_s', *CHANNELS, *(f'{c}_confidence' for c in CHANNELS))
    rows = (
        (
            seconds(p.keyframe.stamp_ns),
            seconds(p.keyframe.committed_stamp_ns),
            *(fixed(v) for v in p.expression.values),
            *(fixed(v) for v in p.expression.confidence),
        )
        for p in posed
    )
    _write(path, columns, rows)


def write_shapes(path: Path, posed: Iterable[PosedKeyframe]) -> None:
    """Write shapes.csv: the 51 blendshapes and the head angles [rad] of every keyframe.

    Columns: stamp_s, committed_s, the blendshapes, head_yaw, head_pitch, head_roll.
    """
    head = [CHANNELS.index(name) for name in HEAD_CHANNELS]
    rows = (
        (
            seconds(p.keyframe.stamp_ns),
            seconds(p.keyframe.committed_stamp_ns),
            *(fixed(v) for v in p.expression.shapes.values),
            *(fixed(v) for v in p.expression.values[head]),
        )
        for p in posed
        if p.expression.shapes is not None
    )
    _write(path, ('stamp_s', 'committed_s', *BLENDSHAPES, *HEAD_CHANNELS), rows)


def write_reflexes(path: Path, reflexes: Iterable[Expression]) -> None:
    """Write reflex.csv: one row for every frame that moved the reflex joints."""
    places = [CHANNELS.index(name) for name in FRAME_CHANNELS]
    rows = ((seconds(r.stamp_ns), *(fixed(v) for v in r.values[places])) for r in reflexes)
    _write(path, ('stamp_s', *FRAME_CHANNELS), rows)


def write_joints(path: Path, joints: JointTrace) -> None:
    """Write joints.csv: one row for every servo cycle, three columns [rad] for every joint."""
    columns = ['stamp_s']
    for name in joints.names:
        columns += [f'{name}_goal_rad', f'{name}_commanded_rad', f'{name}_present_rad']
    rows = (
        (seconds(int(stamp)), *(fixed(v) for triple in values for v in triple))
        for stamp, values in zip(joints.stamp_ns, _triples(joints), strict=True)
    )
    _write(path, columns, rows)


def _triples(joints: JointTrace) -> Iterable[Iterable[tuple[float, float, float]]]:
    for goal, commanded, present in zip(
        joints.goal_rad, joints.commanded_rad, joints.present_rad, strict=True
    ):
        yield zip(goal.tolist(), commanded.tolist(), present.tolist(), strict=True)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open('w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(columns)
        writer.writerows(rows)
