"""changes.npz: what the score model said of every frame, before smoothing.

From it the keyframes of any detector settings follow without running the model again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FloatArray, FrameScore
from kf_imitation.errors import SourceError
from kf_imitation.keyframe.selection.smoother import REACH, Smoothing, smoothed

CHANGES = 'changes.npz'
_VECTOR = 54
_COLUMNS = ('index', 'stamp_ns', 'score', 'dt_s', 'flow_px', 'change', 'note')


@dataclass(frozen=True, slots=True)
class Provisional:
    """What is known of each frame's score while the frames after it come in; N frames.

    Attributes:
        ahead: N entries: None without a score, else the estimates of the frame's score when 0, 1,
            2 … frames after it are known; the last one stands for all that follow.
        at_once: N estimates for the modes that wait for nothing.
        change_at_once: the change vectors that belong to them, where the scorer has them.
    """

    ahead: list[list[float] | None]
    at_once: list[float | None]
    change_at_once: list[FloatArray | None]


def write_changes(path: Path, raw: Sequence[FrameScore], smoothing: Smoothing) -> None:
    """Write one row for every frame.

    Arrays: index, stamp_ns (int64), score (NaN: none), dt_s, flow_px (float64), change
    (N, 54) float32 (NaN: none), note (why there is no score), and the smoothing's sigma_s,
    forecast_s and vectors.
    """
    change = np.full((len(raw), _VECTOR), np.nan, np.float32)
    for row, score in zip(change, raw, strict=True):
        if score.change is not None and len(score.change) == _VECTOR:
            row[:] = score.change
    with path.open('wb') as file:
        np.savez(
            file,
            index=np.array([s.index for s in raw], np.int64),
            stamp_ns=np.array([s.stamp_ns for s in raw], np.int64),
            score=np.array([np.nan if s.score is None else s.score for s in raw]),
            dt_s=np.array([s.dt_s for s in raw], np.float64),
            flow_px=np.array([s.flow_px for s in raw], np.float64),
            change=change,
            note=np.array([s.note for s in raw], np.str_),
            **asdict(smoothing),
        )


def read_changes(path: Path) -> tuple[list[FrameScore], Smoothing]:
    """Read what write_changes wrote.

    Raises:
        SourceError: it is not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        smoothing = Smoothing(
            float(arrays['sigma_s']),
            float(arrays['forecast_s']),
            bool(arrays['vectors']),
        )
        rows = zip(*(arrays[name] for name in _COLUMNS), strict=True)
        return [_frame(*row) for row in rows], smoothing
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise SourceError(f'{path}: is not what a replay wrote: {error}') from error


def _frame(
    index: int,
    stamp_ns: int,
    score: float,
    dt_s: float,
    flow_px: float,
    change: FloatArray,
    note: str,
) -> FrameScore:
    return FrameScore(
        int(index),
        int(stamp_ns),
        None if np.isnan(score) else float(score),
        float(flow_px),
        dt_s=float(dt_s),
        note=str(note),
        change=None if np.isnan(change).any() else change,
    )


def provisional(raw: Sequence[FrameScore], smoothing: Smoothing) -> Provisional:
    """Return what ScoreSmoother would say of each frame at each moment."""
    ahead: list[list[float] | None] = [None] * len(raw)
    at_once: list[float | None] = [None] * len(raw)
    change_at_once: list[FloatArray | None] = [None] * len(raw)
    going_on = smoothing.at_once()
    for start, end in _segments(raw):
        segment = raw[start:end]
        stamps = np.array([score.stamp_ns for score in segment], np.int64)
        for place in range(len(segment)):
            first = _first(segment[place], stamps, smoothing)
            ahead[start + place] = list(_estimates(segment, place, first, smoothing))
            known = segment[first : place + 1]
            now = smoothed(known, place - first, going_on)
            at_once[start + place], change_at_once[start + place] = now.score, now.change
    return Provisional(ahead, at_once, change_at_once)


def _segments(raw: Sequence[FrameScore]) -> Iterator[tuple[int, int]]:
    """Give the runs of frames with scores."""
    start = None
    for place, score in enumerate([*raw, FrameScore(-1, 0, None)]):
        if score.score is None:
            if start is not None:
                yield start, place
            start = None
        elif start is None:
            start = place


def _first(score: FrameScore, stamps: NDArray[np.int64], smoothing: Smoothing) -> int:
    """Return where the smoothing window of a frame begins."""
    reach_ns = (REACH * smoothing.sigma_s + score.dt_s) * 1e9
    return int(np.searchsorted(stamps, score.stamp_ns - reach_ns))


def _estimates(
    segment: Sequence[FrameScore], place: int, first: int, smoothing: Smoothing
) -> Iterator[float]:
    """Give the estimates of a frame's score until later frames change nothing."""
    frame = segment[place]
    end_ns = frame.stamp_ns + (REACH * smoothing.sigma_s - 0.5 * frame.dt_s) * 1e9
    for newest in range(place, len(segment)):
        yield smoothed(segment[first : newest + 1], place - first, smoothing).score or 0.0
        if segment[newest].stamp_ns - segment[newest].dt_s * 1e9 > end_ns:
            return
