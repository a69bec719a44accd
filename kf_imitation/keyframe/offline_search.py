"""The detectors' definitions over a whole recording, written down directly.

This is the reference that the online detectors are tested against; it knows nothing of them but
their constants. It looks at whole arrays, so it is short but not for use while frames come in.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.keyframe.peak_detector import RIGHT_SHARE
from kf_imitation.keyframe.score_scale import REFERENCE_S, raw_of_score
from kf_imitation.keyframe.settle_detector import LEVEL_SHARE
from kf_imitation.keyframe.spacing import TOLERANCE_NS
from kf_imitation.keyframe.travel_detector import STILL_SHARE

_Found = tuple[int, int, float]  # position of the keyframe, of its decision, prominence


def find_keyframes(
    scores: Sequence[FrameScore],
    settings: DetectorSettings,
    seen_ns: Sequence[int] | None = None,
) -> list[Keyframe]:
    """Search a whole recording.

    Args:
        scores: of consecutive frames, stamps rising.
        settings: of the search.
        seen_ns: stamp of the newest frame known when each score was; default its own.

    Returns:
        What the online detector returns after all frames and a flush.
    """
    search = {'peak': _peaks, 'settle': _settles, 'travel': _travels}[settings.mode]
    threshold = settings.travel_quantum if settings.mode == 'travel' else settings.prominence
    seen = np.array([s.stamp_ns for s in scores] if seen_ns is None else seen_ns, np.int64)
    keyframes: list[Keyframe] = []
    for start, stop in _segments(scores):
        part = scores[start:stop]
        # The frame after a segment tells that it is over; the last one of all has none.
        last_seen = int(seen[min(stop, len(scores) - 1)])
        last = keyframes[-1] if keyframes else None
        for place, decided, prominence in search(part, seen[start:stop], settings, last):
            if _too_close(keyframes[-1].stamp_ns if keyframes else None, part, place, settings):
                continue
            keyframes.append(
                Keyframe(
                    index=part[place].index,
                    stamp_ns=part[place].stamp_ns,
                    score=part[place].score or 0.0,
                    prominence=prominence,
                    threshold=threshold,
                    committed_stamp_ns=last_seen
                    if decided == len(part)
                    else int(seen[start + decided]),
                    mode=settings.mode,
                )
            )
    return keyframes


def _segments(scores: Sequence[FrameScore]) -> list[tuple[int, int]]:
    """Return the ranges of frames between frames without a score."""
    gaps = [-1, *(i for i, s in enumerate(scores) if s.score is None), len(scores)]
    return [(a + 1, b) for a, b in itertools.pairwise(gaps) if b > a + 1]


def _too_close(
    last_ns: int | None, part: Sequence[FrameScore], place: int, settings: DetectorSettings
) -> bool:
    if last_ns is None:
        return False
    interval_ns = part[place].stamp_ns - part[place - 1].stamp_ns if place else 0
    needed = settings.spacing_s * 1e9 - interval_ns // 2 - TOLERANCE_NS
    return part[place].stamp_ns - last_ns < needed


def _arrays(part: Sequence[FrameScore]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    heights = np.array([score.score for score in part], np.float64)
    return heights, np.array([score.stamp_ns for score in part], np.int64)


def _window_end(
    place: int, stamps: NDArray[np.int64], seen: NDArray[np.int64], settings: DetectorSettings
) -> int:
    """Return the position of the last frame of a window; the segment's length if it is open."""
    due = seen[1:] + np.diff(stamps)  # when the frame after each is expected
    limit = stamps[place] + round(settings.commit_delay_s * 1e9) + TOLERANCE_NS
    later = np.flatnonzero(due[place:] > limit)
    return int(later[0]) + place + 1 if len(later) else len(stamps)


def _peaks(
    part: Sequence[FrameScore],
    seen: NDArray[np.int64],
    settings: DetectorSettings,
    last: Keyframe | None,
) -> list[_Found]:
    del last  # the spacing is judged by the caller
    heights, stamps = _arrays(part)
    found: list[_Found] = []
    for c in range(1, len(heights)):
        higher = np.flatnonzero(heights[:c] > heights[c])
        left = heights[higher[-1] + 1 if len(higher) else 0 : c + 1]
        left_drop = heights[c] - left.min()
        if heights[c] <= heights[c - 1] or left_drop < settings.prominence:
            continue
        if heights[c] < settings.threshold:
            continue
        end = _window_end(c, stamps, seen, settings)
        drops = heights[c] - heights[c + 1 : end + 1]
        fallen = np.flatnonzero(drops >= settings.prominence)
        rising = np.flatnonzero(drops < 0)
        decided = end
        if len(fallen) and (not len(rising) or fallen[0] < rising[0]):
            decided = c + 1 + int(fallen[0])
        elif len(rising):
            continue
        right_drop = drops[: decided - c].max(initial=0.0)
        if right_drop > 0 and right_drop >= settings.prominence * RIGHT_SHARE:
            # Spacing is judged against what was accepted before, in the order of decision,
            # which is the order of time: an earlier candidate is higher, so it falls sooner.
            found.append((c, decided, float(min(left_drop, right_drop))))
    return found


def _settles(
    part: Sequence[FrameScore],
    seen: NDArray[np.int64],
    settings: DetectorSettings,
    last: Keyframe | None,
) -> list[_Found]:
    del last  # the spacing is judged by the caller
    heights, stamps = _arrays(part)
    step = settings.prominence
    found: list[_Found] = []
    rest = 0  # from here on the face rests
    while True:
        lowest = np.minimum.accumulate(heights[rest:])
        risen = heights[rest:] - lowest
        moving = (risen >= step) & (risen > 0) & (heights[rest:] >= settings.threshold)
        if not moving.any():
            return found
        begin = rest + int(np.argmax(moving))
        highest = np.maximum.accumulate(heights[begin:])
        fallen = highest - heights[begin:]
        ending = (fallen >= step) & (fallen > 0)
        if not ending.any():
            return found
        fall = begin + int(np.argmax(ending))
        place = fall
        while True:
            end = _window_end(place, stamps, seen, settings)
            after = heights[place + 1 : end + 1]
            lower = np.flatnonzero(heights[place] - after > LEVEL_SHARE * step)
            risen = after - np.minimum.accumulate(heights[place : end + 1])[1:]
            rises = np.flatnonzero((risen >= step) & (risen > 0) & (after >= settings.threshold))
            first_lower = int(lower[0]) if len(lower) else end
            first_rise = int(rises[0]) if len(rises) else end
            if first_lower < first_rise:
                place += 1 + first_lower
                continue
            found.append((place, place + 1 + first_rise if len(rises) else end, 0.0))
            rest = place
            break


def _travels(
    part: Sequence[FrameScore],
    seen: NDArray[np.int64],
    settings: DetectorSettings,
    last: Keyframe | None,
) -> list[_Found]:
    heights, _ = _arrays(part)
    del seen
    steps = np.array([raw_of_score(s.score or 0.0) * s.dt_s / REFERENCE_S for s in part])
    steps[heights < max(settings.threshold, STILL_SHARE * settings.prominence)] = 0
    last_ns = last.stamp_ns if last else None
    found: list[_Found] = []
    begin = 0
    while begin < len(part):
        sums = np.cumsum(steps[begin:])
        for place in (np.flatnonzero(sums >= settings.travel_quantum) + begin).tolist():
            if not _too_close(last_ns, part, place, settings):
                break
        else:
            return found
        found.append((place, place, 0.0))
        last_ns, begin = part[place].stamp_ns, place + 1
    return found
