"""The keyframes of a whole recording, by their definitions written down directly.

This is the reference that the online search is tested against. It shares the estimate of a score
(score_smoother.smoothed) and the constants with it, nothing else: it looks at whole arrays, so it
is short, but needs every frame at once and time that grows with the square of their number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.scoring.pair_scorer import REFERENCE_S, raw_of_change, raw_of_score
from kf_imitation.keyframe.selection.peak_detector import RIGHT_FRACTION
from kf_imitation.keyframe.selection.selector import CAUSAL
from kf_imitation.keyframe.selection.settle_detector import LEVEL_FRACTION
from kf_imitation.keyframe.selection.smoother import TOLERANCE_NS, Smoothing, smoothed
from kf_imitation.keyframe.selection.travel_detector import (
    FIRST_FRACTION,
    MEMORY_S,
    NEAR_FRACTION,
    STILL_FRACTION,
    STRAIGHT_FRACTION,
    needed,
)
from kf_imitation.parameters.settings import DetectorSettings

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Segment:
    """Consecutive frames with scores.

    Attributes:
        frames: with final scores.
        heights: (n,) the final scores.
        ahead: of each frame, the provisional scores of the frames after it.
        decided_ns: when each frame was judged.
    """

    frames: list[FrameScore]
    heights: _Floats
    ahead: list[_Floats]
    decided_ns: list[int]


def find_keyframes(
    raw: Sequence[FrameScore],
    settings: DetectorSettings,
    smoothing: Smoothing | None = None,
) -> list[Keyframe]:
    """Search a whole recording.

    Args:
        raw: unsmoothed scores of consecutive frames, stamps rising.
        settings: of the search.
        smoothing: default Smoothing().

    Returns:
        What KeyframeSelector returns after all frames and a flush.
    """
    search = _SEARCHES[settings.mode]
    keyframes: list[Keyframe] = []
    for part, closed_ns in _split(raw):
        segment = _estimate(part, closed_ns, settings, smoothing or Smoothing())
        for place, prominence in search(segment, settings, keyframes):
            if _too_close(keyframes, segment.frames, place, settings):
                continue
            keyframes.append(
                Keyframe(
                    index=part[place].index,
                    stamp_ns=part[place].stamp_ns,
                    score=float(segment.heights[place]),
                    prominence=prominence,
                    threshold=needed(settings, float(segment.heights[place]))
                    if settings.mode in CAUSAL
                    else settings.prominence,
                    committed_stamp_ns=segment.decided_ns[place],
                    mode=settings.mode,
                )
            )
    return keyframes


def _split(raw: Sequence[FrameScore]) -> Iterator[tuple[Sequence[FrameScore], int]]:
    """Yield the frames between frames without a score, and when each such part was over."""
    gaps = [-1, *(i for i, s in enumerate(raw) if s.score is None), len(raw)]
    for before, after in pairwise(gaps):
        if after > before + 1:
            yield raw[before + 1 : after], raw[min(after, len(raw) - 1)].stamp_ns


def _estimate(
    part: Sequence[FrameScore], closed_ns: int, settings: DetectorSettings, smoothing: Smoothing
) -> _Segment:
    causal = settings.mode in CAUSAL
    if causal:
        smoothing = smoothing.at_once()
    reach_ns = TOLERANCE_NS + (0 if causal else round(settings.commit_delay_s * 1e9))
    due = np.array([s.stamp_ns + round(s.dt_s * 1e9) for s in part])
    frames, ahead, decided_ns = [], [], []
    for c, frame in enumerate(part):
        first = c if causal else c + 1
        in_time = np.flatnonzero(due[first:] > frame.stamp_ns + reach_ns)
        last = first + int(in_time[0]) if len(in_time) else len(part) - 1
        decided_ns.append(part[last].stamp_ns if len(in_time) else closed_ns)
        known = part[: last + 1]
        frames.append(smoothed(known, c, smoothing))
        within = [
            j for j in range(c + 1, last + 1) if part[j].stamp_ns <= frame.stamp_ns + reach_ns
        ]
        if not within and last > c:
            within = [c + 1]
        ahead.append(np.array([smoothed(known, j, smoothing).score for j in within], np.float64))
    heights = np.array([frame.score for frame in frames], np.float64)
    return _Segment(frames, heights, ahead, decided_ns)


def _too_close(
    keyframes: Sequence[Keyframe],
    frames: Sequence[FrameScore],
    place: int,
    settings: DetectorSettings,
) -> bool:
    if not keyframes:
        return False
    interval_ns = frames[place].stamp_ns - frames[place - 1].stamp_ns if place else 0
    apart_ns = frames[place].stamp_ns - keyframes[-1].stamp_ns
    return not _is_far(apart_ns, interval_ns, settings)


def _is_far(apart_ns: int, interval_ns: int, settings: DetectorSettings) -> bool:
    """Whether two frames are the spacing apart, rounded to whole frames."""
    return apart_ns >= settings.spacing_s * 1e9 - interval_ns // 2 - 1_000


def _peaks(
    segment: _Segment, settings: DetectorSettings, keyframes: list[Keyframe]
) -> Iterator[tuple[int, float]]:
    del keyframes
    heights, step = segment.heights, settings.prominence
    stamps = [frame.stamp_ns for frame in segment.frames]
    handed_on: float | None = None
    for c in range(1, len(heights)):
        higher = np.flatnonzero(heights[:c] > heights[c])
        left = heights[higher[-1] + 1 if len(higher) else 0 : c + 1]
        left_drop = heights[c] - left.min()
        if heights[c] <= heights[c - 1]:
            if handed_on is None:
                continue
            left_drop = handed_on - (heights[c - 1] - heights[c])
        handed_on = None
        drops = heights[c] - segment.ahead[c]
        end = len(drops)
        higher_ahead = _first(drops < 0)
        if higher_ahead is not None:
            top = higher_ahead  # climbs from the first higher score to the peak it leads to
            while top + 1 < end and drops[top + 1] <= drops[top]:
                top += 1
            apart_ns = stamps[c + 1 + top] - stamps[c]
            far = _is_far(apart_ns, stamps[c] - stamps[c - 1], settings)
            if not far or drops[:higher_ahead].max(initial=0.0) < step:
                handed_on = left_drop
                continue
            end = top + 1
        right_drop = drops[:end].max(initial=0.0)
        falls = right_drop > 0 and right_drop >= step * RIGHT_FRACTION
        if falls and left_drop >= step and heights[c] >= settings.threshold:
            yield c, float(min(left_drop, right_drop))


def _settles(
    segment: _Segment, settings: DetectorSettings, keyframes: list[Keyframe]
) -> Iterator[tuple[int, float]]:
    del keyframes
    heights, step = segment.heights, settings.prominence
    rest = 0  # from here on the face rests
    while True:
        risen = heights[rest:] - np.minimum.accumulate(heights[rest:])
        begin = _first((risen >= step) & (risen > 0) & (heights[rest:] >= settings.threshold))
        if begin is None:
            return
        begin += rest
        fallen = np.maximum.accumulate(heights[begin:]) - heights[begin:]
        fall = _first((fallen >= step) & (fallen > 0))
        if fall is None:
            return
        for place in range(begin + fall, len(heights)):
            change = segment.ahead[place] - heights[place]
            lower = _first(change < -LEVEL_FRACTION * step)
            higher = _first((change >= step) & (change > 0))
            if lower is None or (higher is not None and higher < lower):
                break
        else:
            return
        yield place, 0.0
        rest = place


def _first(mask: NDArray[np.bool_]) -> int | None:
    """Return the first true place."""
    return int(np.argmax(mask)) if mask.any() else None


def _travels(
    segment: _Segment, settings: DetectorSettings, keyframes: list[Keyframe]
) -> Iterator[tuple[int, float]]:
    frames, heights = segment.frames, segment.heights
    spans = np.array([s.dt_s / REFERENCE_S for s in frames])
    steps = np.array([raw_of_score(height) for height in heights]) * spans
    steps[heights < max(settings.threshold, STILL_FRACTION * settings.prominence)] = 0
    changes = None
    if all(s.change is not None for s in frames):
        changes = np.array([s.change for s in frames], np.float64) * spans[:, None]
    stamps_s = np.array([(s.stamp_ns - frames[0].stamp_ns) * 1e-9 for s in frames])
    quantum = settings.travel_threshold
    begin, unseen = 0, True
    for place in range(len(frames)):
        since = slice(begin, place + 1)
        kept = np.exp((stamps_s[since] - stamps_s[place]) / MEMORY_S)
        way = float(kept @ steps[since])
        distance = way if changes is None else raw_of_change(kept @ changes[since])
        if unseen:
            least = max(FIRST_FRACTION * quantum, STRAIGHT_FRACTION * way)
            far = distance >= min(least, NEAR_FRACTION * quantum)
        else:
            least = needed(settings, float(heights[place]))
            far = way >= least and distance >= min(least, NEAR_FRACTION * quantum)
        if far and not _too_close(keyframes, frames, place, settings):
            yield place, 0.0  # the caller adds it to the keyframes
            begin, unseen = place + 1, False


_SEARCHES = {'peak': _peaks, 'settle': _settles, 'travel': _travels, 'combined': _travels}
