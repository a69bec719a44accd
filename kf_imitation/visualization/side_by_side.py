"""The side-by-side picture: the person, the score, the robot, at one moment of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceRegion, FrameScore, Image, Landmarks
from kf_imitation.visualization.drawing import (
    KEYFRAME,
    SCORE,
    TEXT,
    cut_thumbnail,
    draw_points,
    draw_region,
    label,
)

_HEIGHT = 480
_STRIP = 132
_PADDING = 12
_INSET = 168
_BACKGROUND = (34, 27, 22)
_PANEL = (46, 38, 32)
_GRID = (72, 62, 54)
_SOFT = (168, 158, 148)
# What flashes stays long enough to be seen and ends before the next keyframe usually comes.
_FLASH_S = 0.25
_SPAN_S = 5.0
_PAST_SHARE = 0.8

# Stamps and values to pixels of the strip.
_Place = Callable[[NDArray[np.int64], NDArray[np.float64]], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A keyframe as the picture needs it.

    Attributes:
        number: from 1, in the order of commitment.
        stamp_ns: when it happened.
        committed_stamp_ns: when it was known.
        score: 0..1.
        landmarks: of the face, in pixels of the full image; None where nothing was read.
    """

    number: int
    stamp_ns: int
    committed_stamp_ns: int
    score: float
    landmarks: Landmarks | None


class SideBySide:
    """Draws the moments of one run, in order: the insets are cut out of the frames passing by.

    Args:
        frame_size: width and height of the person's frames [px].
        scores: of every frame, in order.
        marks: keyframes in the order of their commitment.

    Attributes:
        size: width and height of the pictures [px], both even as encoders want.
        robot_px: edge of the robot pictures to give.
    """

    robot_px = _HEIGHT

    def __init__(
        self, frame_size: tuple[int, int], scores: Sequence[FrameScore], marks: Sequence[Mark]
    ) -> None:
        width, height = frame_size
        self._person_width = int(np.clip(_HEIGHT * width / height, 300, 768)) // 2 * 2
        self._stamps: NDArray[np.int64] = np.array([s.stamp_ns for s in scores], np.int64)
        self._values = np.array([np.nan if s.score is None else s.score for s in scores])
        self._marks = marks
        self._insets: dict[int, Image] = {}
        self.size = self._person_width + _HEIGHT, _HEIGHT + _STRIP

    def draw(self, bgr: Image, stamp_ns: int, region: FaceRegion | None, robot: Image) -> Image:
        """Return the picture of one moment.

        Args:
            bgr: the person's frame.
            stamp_ns: of the frame.
            region: the face region in it.
            robot: (robot_px, robot_px, 3) picture of the robot at this moment.
        """
        width, height = self.size
        picture = np.full((height, width, 3), _BACKGROUND, np.uint8)
        self._person(picture[:_HEIGHT, : self._person_width], bgr, stamp_ns, region)
        self._robot(picture[:_HEIGHT, self._person_width :], stamp_ns, robot)
        self._strip(picture[_HEIGHT:], stamp_ns)
        return picture

    def _person(self, panel: Image, bgr: Image, stamp_ns: int, region: FaceRegion | None) -> None:
        height, width = bgr.shape[:2]
        scale = min(panel.shape[1] / width, panel.shape[0] / height)
        size = round(width * scale), round(height * scale)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        left, top = (panel.shape[1] - size[0]) // 2, (panel.shape[0] - size[1]) // 2
        shown = panel[top : top + size[1], left : left + size[0]]
        shown[:] = cv2.resize(bgr, size, interpolation=method)
        happened = _latest(self._marks, stamp_ns, _FLASH_S, committed=False)
        if happened and happened.stamp_ns == stamp_ns and region is not None:
            picture = cut_thumbnail(bgr, region, happened.landmarks, _INSET)
            self._insets[happened.number] = picture
        if happened and happened.landmarks is not None:
            self._points(shown, happened.landmarks, scale, stamp_ns - happened.stamp_ns)
        if region is not None:
            small = FaceRegion(
                region.x * scale, region.y * scale, region.size * scale, region.track_id
            )
            draw_region(shown, small, KEYFRAME if happened else TEXT)
        else:
            label(panel, 'no face', (_PADDING, 2 * _PADDING + 36), _SOFT)
        self._inset(panel, stamp_ns)
        if happened:
            _frame(panel, KEYFRAME, 5)
            label(panel, f'keyframe {happened.number}', (_PADDING, 58), (120, 180, 255), 0.6)
        first = int(self._stamps[0]) if len(self._stamps) else stamp_ns
        label(panel, f'{(stamp_ns - first) * 1e-9:6.2f} s', (_PADDING, 30), TEXT, 0.6)

    @staticmethod
    def _points(shown: Image, landmarks: Landmarks, scale: float, age_ns: int) -> None:
        """Landmarks hold for the keyframe alone, so they fade while the face moves on."""
        drawn = shown.copy()
        points = (landmarks.points_px + 0.5) * scale - 0.5
        draw_points(drawn, points.astype(np.float32), max(1, shown.shape[1] // 400))
        weight = max(0.0, 1 - age_ns * 1e-9 / _FLASH_S)
        cv2.addWeighted(drawn, weight, shown, 1 - weight, 0, shown)

    def _inset(self, panel: Image, stamp_ns: int) -> None:
        """The latest keyframe that the robot knows of."""
        mark = _latest(self._marks, stamp_ns, None, committed=True)
        if mark is None or mark.number not in self._insets:
            return
        top, left = panel.shape[0] - _INSET - _PADDING, panel.shape[1] - _INSET - _PADDING
        inset = panel[top : top + _INSET, left : left + _INSET]
        inset[:] = self._insets[mark.number]
        _frame(inset, KEYFRAME, 2)
        label(inset, str(mark.number), (8, 22), (120, 180, 255), 0.55)

    def _robot(self, panel: Image, stamp_ns: int, robot: Image) -> None:
        panel[:] = robot
        mark = _latest(self._marks, stamp_ns, _FLASH_S, committed=True)
        if mark is not None:
            delay_s = (mark.committed_stamp_ns - mark.stamp_ns) * 1e-9
            text = f'moves to keyframe {mark.number}  (+{delay_s:.2f} s)'
            label(panel, text, (_PADDING, 30), (120, 180, 255), 0.6)
            _frame(panel, KEYFRAME, 3)

    def _strip(self, panel: Image, stamp_ns: int) -> None:
        top, bottom, left = 16, panel.shape[0] - 22, 70
        right = panel.shape[1] - _PADDING
        now_x = left + (right - left) * _PAST_SHARE
        per_s = (right - left) / _SPAN_S

        def place(stamps: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int32]:
            x = now_x + (stamps - stamp_ns) * 1e-9 * per_s
            y = bottom - np.clip(values, 0, 1) * (bottom - top)
            points: NDArray[np.int32] = np.round(np.stack([x, y], axis=1)).astype(np.int32)
            return points

        cv2.rectangle(panel, (left, top), (right, bottom), _PANEL, -1)
        for value in (0.0, 0.5, 1.0):
            y = round(bottom - value * (bottom - top))
            cv2.line(panel, (left, y), (right, y), _GRID, 1)
            cv2.putText(
                panel,
                f'{value:.1f}',
                (left - 30, y + 4),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.38,
                _SOFT,
                1,
                cv2.LINE_AA,
            )
        label(panel, 'score', (8, (top + bottom) // 2 + 2), _SOFT, 0.42)
        # Only what the detector has seen by now.
        low = stamp_ns - round(_SPAN_S * _PAST_SHARE * 1e9)
        seen = (self._stamps >= low) & (self._stamps <= stamp_ns)
        self._curve(panel, place, seen, bottom)
        for mark in self._marks:
            if low <= mark.stamp_ns and mark.committed_stamp_ns <= stamp_ns:
                at = place(np.array([mark.stamp_ns]), np.array([mark.score]))[0]
                end = place(np.array([mark.committed_stamp_ns]), np.array([mark.score]))[0]
                cv2.line(panel, at.tolist(), end.tolist(), KEYFRAME, 1, cv2.LINE_AA)
                cv2.circle(panel, at.tolist(), 5, KEYFRAME, -1, cv2.LINE_AA)
                label(panel, str(mark.number), (int(at[0]) + 7, int(at[1]) - 4), TEXT, 0.42)
        cv2.line(panel, (round(now_x), top), (round(now_x), bottom), _SOFT, 1)
        cv2.putText(
            panel,
            'now',
            (round(now_x) - 12, bottom + 15),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.4,
            _SOFT,
            1,
            cv2.LINE_AA,
        )

    def _curve(self, panel: Image, place: _Place, seen: NDArray[np.bool_], bottom: int) -> None:
        indices = np.flatnonzero(seen & ~np.isnan(self._values))
        if not len(indices):
            return
        for part in np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1):
            points = place(self._stamps[part], self._values[part])
            area = np.vstack([points, [[points[-1, 0], bottom], [points[0, 0], bottom]]])
            tint = panel.copy()
            cv2.fillPoly(tint, [area.astype(np.int32)], SCORE, cv2.LINE_AA)
            cv2.addWeighted(tint, 0.25, panel, 0.75, 0, panel)
            cv2.polylines(panel, [points], False, SCORE, 2, cv2.LINE_AA)


def _latest(
    marks: Sequence[Mark], stamp_ns: int, within_s: float | None, committed: bool
) -> Mark | None:
    """Return the newest mark at or before a stamp, at most `within_s` old."""
    found = None
    for mark in marks:
        at = mark.committed_stamp_ns if committed else mark.stamp_ns
        if at <= stamp_ns and (within_s is None or stamp_ns - at <= within_s * 1e9):
            found = mark
    return found


def _frame(panel: Image, colour: tuple[int, int, int], width: int) -> None:
    panel[:width] = panel[-width:] = colour
    panel[:, :width] = panel[:, -width:] = colour
