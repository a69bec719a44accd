"""Which square of every frame is the face."""

import math
from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceRegion, Frame, Image
from kf_imitation.face.canonical import canonical_region, overlap
from kf_imitation.face.detector import PATCH_PX, PATCH_REGION_PX, FaceDetector, Found

POLICIES = ('sticky', 'largest', 'centre')

# The region handed out stays where it is while the face is within these shares of its size.
KEEP_POSITION = 0.06
KEEP_SIZE = 0.10

DETECTION_INTERVAL_S = 0.3
RETRY_INTERVAL_S = 0.1  # after a detection near the face that found nothing
FIRST_SEARCHES_S = 0.1  # the interval between searches grows from here to the one asked for
OTHERS_INTERVAL_S = 2.0  # how often 'largest' and 'centre' look for a better face
# A detection pulls the estimate by 1/n until n reaches this, then by this share.
POSITION_GAIN = 0.3
SIZE_GAIN = 0.2
HINT_GAIN = 0.5
# Without the cascade, a face that still looks like it did counts as confirmed for this long.
LOOK_ALONE_S = 4.0
LIKE_BEFORE = 0.6  # normalised cross correlation with the look at the last detection
CUT = 0.15  # below: another scene
HISTORY_S = 2.0  # hints arrive late, up to the commit delay and a queue


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """How faces are found.

    Attributes:
        policy: whom to follow: 'sticky' stays with a face until it is lost (the largest to begin
            with), 'largest' and 'centre' (nearest the image centre) change to a better one.
        minimum_px: smallest face region that counts [px].
        search_interval_s: time between searches of the whole frame while no face is known [s].
        lost_s: time without confirmation after which a face is lost [s].
    """

    policy: str = 'sticky'
    minimum_px: float = 60.0
    search_interval_s: float = 0.5
    lost_s: float = 0.7


@dataclass(slots=True)
class _Face:
    """The face that is followed, or the candidate; pixels of the full image."""

    x: float  # centre
    y: float
    size: float
    track_id: int
    seen_s: float  # by the cascade
    confirmed_s: float
    measurements: int = 0
    # Learned from hints: canonical minus cascade, shares of the size; log of the size's ratio.
    bias: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    look: NDArray[np.uint8] | None = None

    def region(self) -> FaceRegion:
        half = self.size / 2
        return FaceRegion(self.x - half, self.y - half, self.size, self.track_id)


class FaceTracker:
    """Finds a face, follows it from frame to frame, and hands out a region that keeps still.

    Detection (Haar cascades) runs on the whole frame only while no face is known, then a few
    times per second in a window around the face. In between, sparse optical flow on a small grey
    copy of that window moves the estimate. The region that is handed out moves only when the
    estimate has left its tolerance. Time comes from the stamps alone: same frames, same regions.

    Attributes:
        state: what is going on, as a sentence.
    """

    def __init__(self, settings: FaceSettings, detector: FaceDetector | None = None) -> None:
        """Load the cascades.

        Args:
            settings: may be replaced later by set_settings().
            detector: for tests.

        Raises:
            ModelError: the cascades are missing.
        """
        self._detector = detector or FaceDetector(settings.minimum_px)
        self._settings = settings
        self._next_id = 1
        self.state = ''
        self.reset()

    def set_settings(self, settings: FaceSettings) -> None:
        """Change policy and times while running; minimum_px needs a new tracker."""
        self._settings = settings

    def reset(self) -> None:
        """Forget the face and the time (the source starts again)."""
        self._face: _Face | None = None
        self._candidate: _Face | None = None
        self._rival: _Face | None = None
        self._held: FaceRegion | None = None
        self._window: _Window | None = None
        self._patch: NDArray[np.uint8] | None = None
        self._previous: Image | None = None
        self._now_s = -math.inf
        self._gone_since_s: float | None = None
        self._next_search_s = -math.inf
        self._searches = 0
        self._next_detection_s = -math.inf
        self._next_others_s = -math.inf
        self._history: deque[tuple[int, float, float, float]] = deque()
        self.state = 'waiting for the first frame'

    def update(self, frame: Frame) -> FaceRegion | None:
        """Take the next frame.

        Args:
            frame: its image is kept until the next call and must not be changed.

        Returns:
            The face region, or None without a (confirmed) face. Equal regions are the same
            object as before.
        """
        now_s = frame.stamp_ns * 1e-9
        if now_s < self._now_s or (
            self._previous is not None and self._previous.shape != frame.bgr.shape
        ):
            self.reset()  # the source was started again
        if now_s - self._now_s > self._settings.lost_s and self._face is not None:
            self._lose(now_s)  # a gap: too long to follow across
        self._now_s = now_s
        if self._gone_since_s is None and self._face is None:
            self._gone_since_s = now_s
        if self._face is not None:
            self._follow(self._face, frame.bgr)
        if self._face is None:
            self._find(frame.bgr)
        self._previous = frame.bgr
        self._hold()
        if self._face is not None:
            face = self._face
            self._history.append((frame.stamp_ns, face.x, face.y, face.size))
            while self._history[0][0] < frame.stamp_ns - HISTORY_S * 1e9:
                self._history.popleft()
        self._tell()
        return self._held

    def hint(self, points_px: NDArray[np.floating], stamp_ns: int | None = None) -> None:
        """Correct the region by landmarks of a frame that was updated with before.

        Args:
            points_px: (98, 2) WFLW points, pixels of the full image.
            stamp_ns: of the frame they were found in; None: the last one.
        """
        face = self._face
        if face is None or not self._history:
            return
        past = self._history[-1]
        if stamp_ns is not None:
            past = min(self._history, key=lambda entry: abs(entry[0] - stamp_ns))
            if past[0] != stamp_ns:
                return
        _, x, y, size = past
        wanted = canonical_region(points_px)
        error = np.array(
            [
                (wanted.x + wanted.size / 2 - x) / size,
                (wanted.y + wanted.size / 2 - y) / size,
                math.log(wanted.size / size),
            ]
        )
        if not np.all(np.isfinite(error)) or np.abs(error).max() > 0.5:
            return  # landmarks of something else
        correction = HINT_GAIN * error
        face.bias += correction
        face.x += float(correction[0]) * face.size
        face.y += float(correction[1]) * face.size
        face.size *= math.exp(float(correction[2]))
        self._hold()

    # -- without a face ------------------------------------------------------------------------

    def _find(self, bgr: Image) -> None:
        """Confirm the candidate of the last frame, or search the whole frame when it is time."""
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            self._place_window(candidate, bgr)
            found = self._look_again(candidate, thorough=not candidate.measurements)
            if found is not None:
                self._start(candidate, found)
                return
        if self._now_s < self._next_search_s and candidate is None:
            return
        interval_s = min(
            self._settings.search_interval_s, FIRST_SEARCHES_S * 2 ** min(self._searches, 20)
        )
        self._next_search_s = self._now_s + interval_s
        self._searches += 1
        found_all = self._detector.search(bgr)
        if found_all:
            best = max(found_all, key=lambda f: self._merit(f.region, bgr))
            self._candidate = self._new_face(best)

    def _new_face(self, found: Found) -> _Face:
        half = found.region.size / 2
        return _Face(
            found.region.x + half,
            found.region.y + half,
            found.region.size,
            0,
            self._now_s,
            self._now_s,
            int(found.frontal),
        )

    def _merit(self, region: FaceRegion, bgr: Image) -> float:
        if self._settings.policy == 'centre':
            height, width = bgr.shape[:2]
            half = region.size / 2
            return -math.hypot(region.x + half - width / 2, region.y + half - height / 2)
        return region.size

    def _start(self, candidate: _Face, found: Found) -> None:
        candidate.track_id = self._next_id
        self._next_id += 1
        candidate.measurements = 1
        self._face = candidate
        self._gone_since_s = None
        self._searches = 0
        self._measure(candidate, found)
        self._next_others_s = self._now_s + OTHERS_INTERVAL_S

    # -- with a face ---------------------------------------------------------------------------

    def _follow(self, face: _Face, bgr: Image) -> None:
        """Move the estimate by the flow since the last frame; detect when it is time."""
        window, before = self._window, self._patch
        assert window is not None and before is not None
        if window.left_by(face):
            window = _Window.around(face)
            assert self._previous is not None
            before = window.cut(self._previous)
            self._window = window
        patch = window.cut(bgr)
        self._patch = patch
        moved = _flow(before, patch, window.to_patch(face.region()))
        if moved is not None:
            face.x += moved[0] / window.scale
            face.y += moved[1] / window.scale
        likeness = self._likeness(face)
        if moved is None and likeness < CUT:
            self._next_detection_s = self._now_s
        if self._now_s >= self._next_detection_s:
            found = self._look_again(
                face, thorough=self._now_s - face.seen_s > DETECTION_INTERVAL_S
            )
            if found is not None:
                self._measure(face, found)
            else:
                self._next_detection_s = self._now_s + RETRY_INTERVAL_S
                if moved is None and likeness < CUT:
                    self._lose(self._now_s)
                    return
        alike = likeness > LIKE_BEFORE and self._now_s - face.seen_s < LOOK_ALONE_S
        if alike and moved is not None:
            face.confirmed_s = self._now_s
        height, width = bgr.shape[:2]
        outside = not (0 <= face.x < width and 0 <= face.y < height)
        if outside or self._now_s - face.confirmed_s > self._settings.lost_s:
            self._lose(self._now_s)
            return
        if self._settings.policy != 'sticky' and self._now_s >= self._next_others_s:
            self._look_for_others(face, bgr)

    def _measure(self, face: _Face, found: Found) -> None:
        """Pull the estimate towards a detection, given in patch pixels."""
        window = self._window
        assert window is not None
        seen = window.to_frame(found.region)
        x = seen.x + seen.size / 2 + float(face.bias[0]) * seen.size
        y = seen.y + seen.size / 2 + float(face.bias[1]) * seen.size
        size = seen.size * math.exp(float(face.bias[2]))
        face.measurements += 1
        position = max(POSITION_GAIN, 1 / face.measurements)
        growth = max(SIZE_GAIN, 1 / face.measurements)
        face.x += position * (x - face.x)
        face.y += position * (y - face.y)
        face.size *= (size / face.size) ** growth
        face.seen_s = face.confirmed_s = self._now_s
        self._next_detection_s = self._now_s + DETECTION_INTERVAL_S
        assert self._patch is not None
        face.look = _inner(self._patch, window.to_patch(face.region()), 0)

    def _look_again(self, face: _Face, thorough: bool) -> Found | None:
        assert self._window is not None and self._patch is not None
        expected = self._window.to_patch(face.region())
        return self._detector.look_again(self._patch, expected, thorough)

    def _likeness(self, face: _Face) -> float:
        """Correlation of the face with its look at the last detection, -1..1."""
        assert self._window is not None and self._patch is not None
        if face.look is None:
            return 1.0
        around = _inner(self._patch, self._window.to_patch(face.region()), LOOK_SLACK_PX)
        if around is None:
            return -1.0
        return float(cv2.matchTemplate(around, face.look, cv2.TM_CCOEFF_NORMED).max())

    def _look_for_others(self, face: _Face, bgr: Image) -> None:
        """Change to a better face once it was seen twice."""
        self._next_others_s = self._now_s + OTHERS_INTERVAL_S
        rival, self._rival = self._rival, None
        own = face.region()
        for found in self._detector.search(bgr):
            if overlap(found.region, own) > 0.2 or not self._better(found.region, own, bgr):
                continue
            new = self._new_face(found)
            if rival is not None and overlap(rival.region(), new.region()) > 0.3:
                self._lose(self._now_s)
                self._candidate = new
                return
            self._rival = new
            self._next_others_s = self._now_s + DETECTION_INTERVAL_S
            return

    def _better(self, a: FaceRegion, b: FaceRegion, bgr: Image) -> bool:
        if self._settings.policy == 'largest':
            return a.size > 1.25 * b.size
        return self._merit(a, bgr) > self._merit(b, bgr) + 0.25 * b.size

    def _lose(self, now_s: float) -> None:
        self._face = None
        self._window = None
        self._patch = None
        self._history.clear()
        self._gone_since_s = now_s
        self._next_search_s = now_s
        self._searches = 0

    # -- output --------------------------------------------------------------------------------

    def _place_window(self, face: _Face, bgr: Image) -> None:
        self._window = _Window.around(face)
        self._patch = self._window.cut(bgr)

    def _hold(self) -> None:
        """Let the region that is handed out follow the estimate once it left its tolerance."""
        if self._face is None:
            self._held = None
            return
        new, old = self._face.region(), self._held
        if old is not None and old.track_id == new.track_id:
            shift = max(
                abs(new.x + new.size / 2 - old.x - old.size / 2),
                abs(new.y + new.size / 2 - old.y - old.size / 2),
            )
            kept = shift <= KEEP_POSITION * old.size
            if kept and abs(new.size - old.size) <= KEEP_SIZE * old.size:
                return
        self._held = new

    def _tell(self) -> None:
        if self._face is not None:
            self.state = f'following a face of {self._face.size:.0f} px'
        elif self._gone_since_s is not None:
            self.state = f'no face for {self._now_s - self._gone_since_s:.1f} s'


LOOK_SLACK_PX = 4
LOOK_SHARE = 0.6  # of the region: eyes to mouth, no background


@dataclass(frozen=True, slots=True)
class _Window:
    """A square of the frame and its small grey copy of PATCH_PX."""

    x: int
    y: int
    edge: int

    @staticmethod
    def around(face: _Face) -> '_Window':
        edge = max(8, round(face.size * PATCH_PX / PATCH_REGION_PX))
        return _Window(round(face.x - edge / 2), round(face.y - edge / 2), edge)

    @property
    def scale(self) -> float:
        """Patch pixels per frame pixel."""
        return PATCH_PX / self.edge

    def left_by(self, face: _Face) -> bool:
        """Whether the face is too far from the centre, or of another size."""
        slack = 0.08 * self.edge
        off_x = abs(face.x - self.x - self.edge / 2)
        off_y = abs(face.y - self.y - self.edge / 2)
        wanted = face.size * PATCH_PX / PATCH_REGION_PX
        return max(off_x, off_y) > slack or abs(math.log(wanted / self.edge)) > 0.1

    def cut(self, bgr: Image) -> NDArray[np.uint8]:
        """(96, 96) grey; the frame's border is continued outwards."""
        height, width = bgr.shape[:2]
        x0, y0 = max(self.x, 0), max(self.y, 0)
        x1, y1 = min(self.x + self.edge, width), min(self.y + self.edge, height)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return np.zeros((PATCH_PX, PATCH_PX), np.uint8)
        part = bgr[y0:y1, x0:x1]
        left, top = round((x0 - self.x) * self.scale), round((y0 - self.y) * self.scale)
        inner_w = min(PATCH_PX - left, max(1, round((x1 - x0) * self.scale)))
        inner_h = min(PATCH_PX - top, max(1, round((y1 - y0) * self.scale)))
        if self.edge > 2 * PATCH_PX:  # linear to twice the size, then mean: fast, little aliasing
            part = cv2.resize(part, (2 * inner_w, 2 * inner_h), interpolation=cv2.INTER_LINEAR)
        part = cv2.resize(part, (inner_w, inner_h), interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
        if inner_w < PATCH_PX or inner_h < PATCH_PX:
            right, bottom = PATCH_PX - left - inner_w, PATCH_PX - top - inner_h
            grey = cv2.copyMakeBorder(grey, top, bottom, left, right, cv2.BORDER_REPLICATE)
        return np.asarray(grey, np.uint8)

    def to_patch(self, region: FaceRegion) -> FaceRegion:
        k = self.scale
        return FaceRegion((region.x - self.x) * k, (region.y - self.y) * k, region.size * k)

    def to_frame(self, region: FaceRegion) -> FaceRegion:
        k = 1 / self.scale
        return FaceRegion(region.x * k + self.x, region.y * k + self.y, region.size * k)


_GRID = np.stack(
    np.meshgrid(np.linspace(0.24, 0.76, 7), np.linspace(0.24, 0.8, 7)), axis=-1
).reshape(-1, 2)
_FLOW_WINDOW = (11, 11)
_FLOW_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
_FLOW_RETURN_PX = 1.0  # a point that does not come back this close is not believed
_FLOW_POINTS = 12


def _flow(
    before: NDArray[np.uint8], after: NDArray[np.uint8], region: FaceRegion
) -> tuple[float, float] | None:
    """Median movement of a grid of points on the face [patch px], None when few can be followed.

    Points are followed forth and back; Lucas-Kanade on two pyramid levels.
    """
    points = (_GRID * region.size + (region.x, region.y)).astype(np.float32).reshape(-1, 1, 2)
    forth, good, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, None, winSize=_FLOW_WINDOW, maxLevel=2, criteria=_FLOW_CRITERIA
    )
    back, good_back, _ = cv2.calcOpticalFlowPyrLK(
        after, before, forth, None, winSize=_FLOW_WINDOW, maxLevel=2, criteria=_FLOW_CRITERIA
    )
    miss = np.abs(back - points).max(axis=(1, 2))
    kept = (good.ravel() > 0) & (good_back.ravel() > 0) & (miss < _FLOW_RETURN_PX)
    if int(kept.sum()) < _FLOW_POINTS:
        return None
    move = np.median((forth - points)[kept, 0], axis=0)
    return float(move[0]), float(move[1])


def _inner(
    patch: NDArray[np.uint8], region: FaceRegion, slack_px: int
) -> NDArray[np.uint8] | None:
    """The middle of a face in a patch, None when it reaches over the patch."""
    edge = round(LOOK_SHARE * PATCH_REGION_PX) + 2 * slack_px
    x = round(region.x + region.size / 2 - edge / 2)
    y = round(region.y + region.size / 2 - edge / 2)
    if x < 0 or y < 0 or x + edge > PATCH_PX or y + edge > PATCH_PX:
        return None
    return np.ascontiguousarray(patch[y : y + edge, x : x + edge])
