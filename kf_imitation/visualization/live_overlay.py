"""keyframe/annotated: face region, score curve and the newest keyframe's reasons on the frame."""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from kf_imitation.data_types import FaceRegion, Frame, FrameScore, Image, Keyframe
from kf_imitation.visualization.drawing import KEYFRAME, SCORE, TEXT, draw_region, label

_SPAN_S = 5.0
# The reasons stay readable, or until the next keyframe.
_REASONS_S = 2.0
_FLASH_S = 0.25
_STRIP_SHARE = 0.2
_SHADE = 0.35
_NARROWEST_PX = 200


class LiveOverlay:
    """Collects what is cheap to keep, draws when it is asked to."""

    def __init__(self) -> None:
        self._scores: deque[tuple[int, float]] = deque()
        self._keyframes: deque[Keyframe] = deque(maxlen=64)
        self._reasons: tuple[int, Sequence[str]] = (0, ())

    def reset(self) -> None:
        """Forget everything: stamps start anew."""
        self._scores.clear()
        self._keyframes.clear()
        self._reasons = (0, ())

    def add(self, scores: Sequence[FrameScore], keyframes: Sequence[Keyframe]) -> None:
        """Take final scores and keyframes, oldest first."""
        for score in scores:
            value = np.nan if score.score is None else score.score
            self._scores.append((score.stamp_ns, value))
        while self._scores and (self._scores[0][0] < self._scores[-1][0] - round(_SPAN_S * 1.2e9)):
            self._scores.popleft()
        self._keyframes.extend(keyframes)

    def explain(self, stamp_ns: int, lines: Sequence[str]) -> None:
        """Take the reasons of the keyframe with this stamp."""
        self._reasons = stamp_ns, lines

    def draw(self, frame: Frame, region: FaceRegion | None, state: str) -> Image:
        """Return a copy of the frame with everything drawn in.

        Args:
            frame: the newest.
            region: the face in it, or None.
            state: of the face tracker, shown while there is no face.
        """
        picture: Image = frame.bgr.copy()
        newest = self._keyframes[-1] if self._keyframes else None
        flash = newest is not None and (
            0 <= frame.stamp_ns - newest.committed_stamp_ns < _FLASH_S * 1e9
        )
        if region is not None:
            draw_region(picture, region, KEYFRAME if flash else (0, 200, 0))
        height, width = picture.shape[:2]
        scale = max(0.35, height / 960)
        if width >= _NARROWEST_PX:
            self._strip(picture, frame.stamp_ns)
        last = self._scores[-1][1] if self._scores else np.nan
        text = state if region is None or np.isnan(last) else f'score now {last:.2f}'
        step = round(34 * scale)
        label(picture, text, (8, step), KEYFRAME if flash else TEXT, scale)
        stamp_ns, lines = self._reasons
        if 0 <= frame.stamp_ns - stamp_ns < _REASONS_S * 1e9:
            for row, line in enumerate(lines, 2):
                label(picture, line, (8, row * step), KEYFRAME, scale)
        return picture

    def _strip(self, picture: Image, now_ns: int) -> None:
        """Draw the last seconds of the score along the lower edge."""
        height, width = picture.shape[:2]
        top = round(height * (1 - _STRIP_SHARE))
        part = picture[top:]
        part[:] = (part * _SHADE).astype(np.uint8)
        begin_ns = now_ns - round(_SPAN_S * 1e9)

        def place(stamp_ns: int, score: float) -> tuple[int, int]:
            x = (stamp_ns - begin_ns) / (_SPAN_S * 1e9) * (width - 1)
            return round(x), round(height - 2 - score * (height - top - 6))

        thickness = max(1, round(height / 360))
        shown = [s for s in self._scores if s[0] >= begin_ns]
        for (from_ns, a), (to_ns, b) in pairwise(shown):
            if not np.isnan(a) and not np.isnan(b):
                ends = place(from_ns, a), place(to_ns, b)
                cv2.line(picture, *ends, SCORE, thickness, cv2.LINE_AA)
        for keyframe in self._keyframes:
            if keyframe.stamp_ns >= begin_ns:
                centre = place(keyframe.stamp_ns, keyframe.score)
                cv2.line(picture, (centre[0], height - 1), centre, KEYFRAME, 1, cv2.LINE_AA)
                cv2.circle(picture, centre, 2 + thickness, KEYFRAME, -1, cv2.LINE_AA)
