"""Which square of every frame is the face."""

import logging
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceRegion, Frame, Image
from kf_imitation.face.canonical_region import overlap
from kf_imitation.face.crossing import APART, Crossing, Verdict
from kf_imitation.face.detector import FaceDetector, Found
from kf_imitation.face.region_network import Centring, RegionNet, Window, net_crop
from kf_imitation.face_geometry.quarter_turns import QUARTER_TURNS, quarter_turned, turned_again
from kf_imitation.parameters.settings import FaceSettings

# The region handed out stays where it is while the face is within these fractions of its size.
KEEP_POSITION = 0.06
KEEP_SIZE = 0.10

# The estimate follows the network with these time constants, faster where it is far off.
POSITION_TIME_S = 0.08
SIZE_TIME_S = 0.15
FAR_OFF = 0.12  # fraction of the size (log of the ratio of sizes): taken over at once
MEASURE_AGAIN = 0.08  # an offset this large is measured again from there
FACE = 0.5  # confidence of the network above which a crop is a face
SURE = 0.8
# A face that the cascade has not seen for this long needs the network to be sure; after the
# limit it is none (the network alone takes a few of a hundred backgrounds for a face).
CASCADE_MEMORY_S = 3.0
CASCADE_LIMIT_S = 15.0
CASCADE_INTERVAL_S = 1.0
RETRY_INTERVAL_S = 0.15  # while the network sees no face where one was
# A cut: thumbnails of two frames correlate less than this and differ by more grey levels than
# the noise of a dark image.
SAME_SCENE = 0.5
CUT_LEVELS = 10.0
THUMB_PX = (32, 24)
FIRST_SEARCHES_S = 0.1  # the interval between searches grows from here to the one asked for
OTHERS_INTERVAL_S = 2.0  # how often 'largest' and 'centre' search for a better face
OTHERS_AGAIN_S = 0.3  # and when they have seen one
LARGER = 1.25
NEARER = 0.25  # in sizes of the face followed
# Beside the face that is followed another is looked for so often, in turn at these places (x and y
# in sizes of the face); the network sees a face within about 0.3 sizes.
BESIDE_INTERVAL_S = 0.05
BESIDE = ((-0.95, 0.1), (0.95, 0.1), (-1.3, -0.3), (1.3, -0.3))
BESIDE_SIZE = 1.2
# Without a face, one that lies on its side or stands on its head is looked for so seldom, and so
# seldom the one that is followed is looked at for that. It counts once two searches in a row have
# seen it; one that was followed, once two looks this far apart have and none between saw it
# upright.
TURNED_AFTER_S = 2.0
TURNED_AGAIN_S = 0.3
# The network takes turned faces for faces, too; the frontal cascade does not. So many of its boxes
# agree on most faces that a quarter turn has put upright, and on none tilted by 45 degrees (up to
# 30); in a whole frame, which it searches more coarsely, fewer do.
TURNED_WEIGHT = 35
TURNED_FRAME_WEIGHT = 20
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Face:
    """The face that is followed, or a candidate; pixels of the full image."""

    x: float  # centre
    y: float
    size: float
    seen_s: float  # by the cascade
    confirmed_s: float
    track_id: int = 0

    @staticmethod
    def at(region: FaceRegion, now_s: float) -> '_Face':
        half = region.size / 2
        return _Face(region.x + half, region.y + half, region.size, now_s, now_s)

    def region(self) -> FaceRegion:
        half = self.size / 2
        return FaceRegion(self.x - half, self.y - half, self.size, self.track_id)

    def move(self, offset: NDArray[np.float64], position_gain: float, size_gain: float) -> None:
        """Go part of the way of an offset (x and y in sizes, log of the ratio of sizes)."""
        self.x += position_gain * float(offset[0]) * self.size
        self.y += position_gain * float(offset[1]) * self.size
        self.size *= math.exp(size_gain * float(offset[2]))


class FaceTracker:
    """Finds a face, follows it from frame to frame, and hands out a region that keeps still.

    Haar cascades search the whole frame while no face is known; a candidate counts when a small
    network, trained apart from them, agrees on this and the next frame. From then on the network
    alone centres the region in every frame and says whether there still is a face; the cascade
    checks the place of the face about once per second. The region that is handed out moves only
    when the estimate has left its tolerance. Time comes from the stamps alone: same frames, same
    regions.

    Attributes:
        state: what is going on, as a sentence.
        turned_deg: the clockwise turn of the frames as they come that would put a face upright
            which was found lying or upside down, and is not followed; 0 without one.
    """

    def __init__(
        self,
        settings: FaceSettings,
        detector: FaceDetector | None = None,
        net: RegionNet | None = None,
    ) -> None:
        """Load cascades and network.

        Args:
            settings: may be replaced later by set_settings().
            detector: for tests.
            net: for tests.

        Raises:
            ModelError: the cascades or the network are missing.
        """
        self._detector = detector or FaceDetector(settings.minimum_px)
        self._net = net or RegionNet()
        self._settings = settings
        self._next_id = 1
        self.state = ''
        self._said_turned = False
        self.reset()

    def set_settings(self, settings: FaceSettings) -> None:
        """Change policy and times while running; minimum_px needs a new tracker."""
        self._settings = settings

    def reset(self) -> None:
        """Forget the face and the time (the source starts again)."""
        self._face: _Face | None = None
        self._candidate: _Face | None = None
        self._rival: FaceRegion | None = None
        self._why = ''
        self._held: FaceRegion | None = None
        self._shape: tuple[int, ...] | None = None
        self._thumb: NDArray[np.uint8] | None = None
        self._now_s = -math.inf
        self._dt_s = 0.0
        self._gone_since_s = 0.0
        self._next_search_s = -math.inf
        self._searches = 0
        self._next_cascade_s = -math.inf
        self._next_others_s = -math.inf
        self._next_turned_s = -math.inf
        self._crossing: Crossing | None = None
        self._next_beside_s = -math.inf
        self._beside = 0
        self._turns = [180, 90, 270]
        self._turned_seen = 0
        self._turned_since_s = 0.0
        self._turn_deg: int | None = 0
        self._mirrored = False
        self.turned_deg = 0
        self.state = 'waiting for the first frame'

    def update(self, frame: Frame) -> FaceRegion | None:
        """Take the next frame.

        Returns:
            The face region, or None without a (confirmed) face. While the face keeps still it is
            the same object as before.
        """
        now_s = frame.stamp_ns * 1e-9
        if now_s < self._now_s or self._shape != frame.bgr.shape:
            self.reset()  # another source, or it was started again
            self._shape = frame.bgr.shape
            self._gone_since_s = now_s
        self._dt_s = min(now_s - self._now_s, 1.0)
        if self._face is not None and now_s - self._now_s > self._settings.lost_s:
            self._lose(now_s)  # a gap too long to follow across
        self._now_s = now_s
        self._turn_deg, self._mirrored = frame.turn_deg, frame.mirrored
        if self._is_cut(frame.bgr) and self._face is not None:
            self._lose(now_s)
        if self._face is not None:
            self._follow(self._face, frame.bgr)
        if self._face is None:
            self._find(frame.bgr)
            self._find_turned(frame.bgr)
        self._hold()
        if self._face is not None:
            self.turned_deg = 0
            size = self._held.size if self._held else 0
            self.state = f'following a face of {size:.0f} px{self._why}'
        else:
            self.state = f'no face for {now_s - self._gone_since_s:.1f} s'
            if self.turned_deg:
                self.state += f', but a turned one: {self._remedy(self.turned_deg)}'
        return self._held

    # -- without a face ------------------------------------------------------------------------

    def _find(self, bgr: Image) -> None:
        """Confirm the candidate of the frame before, or search the whole frame when it is time."""
        candidate, self._candidate = self._candidate, None
        if candidate is not None and self._centre(candidate, bgr):
            self._start(candidate)
            return
        if self._now_s < self._next_search_s:
            return
        interval_s = min(
            self._settings.search_interval_s, FIRST_SEARCHES_S * 2 ** min(self._searches, 20)
        )
        self._next_search_s = self._now_s + interval_s
        self._searches += 1
        # Tilted heads take twice the time and are rare: every other search.
        found = self._detector.search(bgr, rolled=self._searches % 2 == 0)
        for best in sorted(found, key=lambda f: -self._merit(f.region, bgr)):
            face = _Face.at(best.region, self._now_s)
            if self._centre(face, bgr) and not self._lies(face, bgr):
                self._candidate = face
                self._why = self._reason(face.region(), found, bgr)
                return

    def _find_turned(self, bgr: Image) -> None:
        """Look now and then whether the camera hangs upside down or on its side; say so once."""
        if self._now_s - self._gone_since_s < TURNED_AFTER_S or self._now_s < self._next_turned_s:
            return
        turn = self._turns[0]
        upright = quarter_turned(bgr, turn)
        faces = (_Face.at(found.region, self._now_s) for found in self._detector.search(upright))
        seen = any(self._centre(face, upright) for face in faces)
        again = seen and self._turned_seen != turn
        self._next_turned_s = self._now_s + (TURNED_AGAIN_S if again else TURNED_AFTER_S)
        if seen:
            self._count_turned(turn)
        else:
            self._turns.append(self._turns.pop(0))
            self._turned_seen = self.turned_deg = 0

    def _lies(self, face: _Face, bgr: Image) -> bool:
        """Whether a face that was just found is a turned one, or a part of one."""
        turn = self._turn_of(face.region(), bgr)
        if not turn and (self.turned_deg or turn is None):
            turns = (self.turned_deg,) if self.turned_deg else QUARTER_TURNS
            turn = next((t for t in turns if self._is_part_of_turned(face, t, bgr)), 0)
        if turn:
            self._count_turned(turn)
        return bool(turn)

    def _is_part_of_turned(self, face: _Face, turn: int, bgr: Image) -> bool:
        """Whether a turn of the whole frame shows a face where this one lies."""
        height, width = bgr.shape[:2]
        x, y = {
            90: (height - face.y, face.x),
            180: (width - face.x, height - face.y),
            270: (face.y, width - face.x),
        }[turn]
        return any(
            found.weight >= TURNED_FRAME_WEIGHT
            and max(
                abs(found.region.x + found.region.size / 2 - x),
                abs(found.region.y + found.region.size / 2 - y),
            )
            < 0.5 * found.region.size
            for found in self._detector.search(quarter_turned(bgr, turn), profiles=False)
        )

    def _turn_of(self, region: FaceRegion, bgr: Image) -> int | None:
        """Return the turn that puts a face upright; 0: it is, None: this cannot be told."""
        window = Window.around(region)
        patch, expected = window.cut(bgr), window.to_patch(region)  # in the middle: turns leave it
        if self._detector.detect_near(patch, expected, thorough=False):
            return 0
        for turn in QUARTER_TURNS:
            found = self._detector.detect_near(
                quarter_turned(patch, turn), expected, thorough=False
            )
            if found is not None and found.weight >= TURNED_WEIGHT:
                return turn
        return None

    def _count_turned(self, turn: int) -> None:
        """Take note of a turned face; what is seen twice in a row holds, and is said once."""
        if turn == self._turned_seen:
            self.turned_deg = turn
            if not self._said_turned:
                self._said_turned = True
                _logger.warning(
                    'a face is seen turned and is not followed: %s', self._remedy(turn)
                )
        self._turned_seen = turn
        self._turns.remove(turn)
        self._turns.insert(0, turn)  # where the next search looks

    def _remedy(self, turn: int) -> str:
        """Say what to do so that frames are turned further."""
        if self._turn_deg is None:
            return f'images turned clockwise by {turn} degrees more show it upright'
        return f'rotate = {turned_again(self._turn_deg, self._mirrored, turn)} puts it upright'

    def _centre(self, face: _Face, bgr: Image) -> bool:
        """Move a face that was just detected to where the network sees it; False: sees none."""
        return self._settle(face, bgr, FACE) and face.size >= 0.8 * self._settings.minimum_px

    def _settle(self, face: _Face, bgr: Image, confidence: float) -> bool:
        """Move a face to where the network sees it twice with a confidence; False: it does not."""
        for _ in range(2):
            seen, _ = self._locate(face.region(), bgr)
            if seen.confidence < confidence:
                return False
            face.move(np.array([seen.x, seen.y, seen.log_size]), 1.0, 1.0)
        return True

    def _merit(self, region: FaceRegion, bgr: Image) -> float:
        if self._settings.policy == 'centre':
            height, width = bgr.shape[:2]
            half = region.size / 2
            return -math.hypot(region.x + half - width / 2, region.y + half - height / 2)
        return region.size

    def _reason(self, chosen: FaceRegion, found: list[Found], bgr: Image) -> str:
        """Return why this face is followed, where there are others."""
        others = 0
        for other in found:
            face = _Face.at(other.region, self._now_s)
            if overlap(other.region, chosen) <= APART and self._centre(face, bgr):
                others += overlap(face.region(), chosen) <= APART
        if not others:
            return ''
        near = self._settings.policy == 'centre'
        rule = 'nearest to the middle' if near else 'largest'
        since = ' when it came' if self._settings.policy == 'sticky' else ''
        return f', the {rule} of {others + 1}{since} (policy {self._settings.policy})'

    def _start(self, candidate: _Face) -> None:
        candidate.track_id = self._next_id
        candidate.confirmed_s = self._now_s
        self._next_id += 1
        self._face = candidate
        self._crossing = None
        self._searches = 0
        self._next_cascade_s = self._now_s + CASCADE_INTERVAL_S
        self._next_others_s = self._now_s + OTHERS_INTERVAL_S
        self._next_turned_s = self._now_s + TURNED_AFTER_S
        self._turned_seen = 0

    # -- with a face ---------------------------------------------------------------------------

    def _follow(self, face: _Face, bgr: Image) -> None:
        """Centre the estimate; let the cascade check it when it is time; lose the face."""
        before = face.region()
        seen, patch = self._locate(before, bgr)
        if seen.confidence >= FACE:
            self._pull(face, seen, bgr)
        if self._now_s >= self._next_cascade_s:
            seen = self._ask_cascade(face, before, patch, seen, bgr)
        unseen_s = self._now_s - face.seen_s
        enough = FACE if unseen_s < CASCADE_MEMORY_S else SURE
        if seen.confidence >= enough and unseen_s < CASCADE_LIMIT_S:
            face.confirmed_s = self._now_s
        height, width = bgr.shape[:2]
        outside = not (0 <= face.x < width and 0 <= face.y < height)
        small = face.size < 0.8 * self._settings.minimum_px
        gone = outside or small or self._now_s - face.confirmed_s > self._settings.lost_s
        if gone or self._has_turned(face, bgr):
            self._lose(self._now_s)
        elif self._settings.policy != 'sticky' and self._now_s >= self._next_others_s:
            self._search_for_others(face, bgr)
        else:
            self._mind_the_other(face, bgr)

    def _has_turned(self, face: _Face, bgr: Image) -> bool:
        """Look now and then whether the face that is followed is a turned one."""
        if self._now_s < self._next_turned_s:
            return False
        turn = self._turn_of(face.region(), bgr)
        self._next_turned_s = self._now_s + (TURNED_AGAIN_S if turn else TURNED_AFTER_S)
        if turn is None:
            return False
        if turn != self._turned_seen:
            self._turned_seen, self._turned_since_s = turn, self._now_s
        if not turn or self._now_s - self._turned_since_s < TURNED_AFTER_S:
            return False  # a head that is tilted far for a moment comes back
        self._count_turned(turn)
        return True

    def _mind_the_other(self, face: _Face, bgr: Image) -> None:
        """Look for a second face nearby; know the two apart once they have crossed."""
        if self._crossing is None:
            if self._now_s < self._next_beside_s:
                return
            self._next_beside_s = self._now_s + BESIDE_INTERVAL_S
            own = face.region()
            for other in self._faces_at([self._place_beside(face)], bgr):
                if overlap(other, own) > APART:
                    continue  # its own
                self._next_beside_s = self._now_s + OTHERS_AGAIN_S
                window = Window.around(other)
                patch = window.cut(bgr)
                if self._detector.detect_near(patch, window.to_patch(other), thorough=True):
                    self._crossing = Crossing(self._now_s, own, other, bgr)
            return
        faces = self._faces_at(
            [*self._crossing.places(self._now_s), self._place_beside(face)], bgr
        )
        own, lost_s = face.region(), self._settings.lost_s
        verdict = self._crossing.push(self._now_s, own, faces, bgr, lost_s)
        if verdict is Verdict.SWAPPED:
            there = _Face.at(self._crossing.own, self._now_s)
            face.x, face.y, face.size = there.x, there.y, there.size
        elif verdict is Verdict.REPLACED:
            face.track_id = self._next_id
            self._next_id += 1
            self._why = ', which hides the one followed until then'
        elif verdict is Verdict.OVER:
            self._crossing = None

    def _place_beside(self, face: _Face) -> FaceRegion:
        x, y = BESIDE[self._beside]
        self._beside = (self._beside + 1) % len(BESIDE)
        edge = BESIDE_SIZE * face.size
        return FaceRegion(
            face.x + x * face.size - edge / 2, face.y + y * face.size - edge / 2, edge
        )

    def _faces_at(self, places: list[FaceRegion], bgr: Image) -> list[FaceRegion]:
        """Return the faces that the network is sure of at these places."""
        faces = [_Face.at(place, self._now_s) for place in places]
        return [face.region() for face in faces if self._settle(face, bgr, SURE)]

    def _locate(self, region: FaceRegion, bgr: Image) -> tuple[Centring, NDArray[np.uint8]]:
        window = Window.around(region)
        patch = window.cut(bgr)
        return self._net.locate(net_crop(patch, window.to_patch(region))), patch

    def _pull(self, face: _Face, seen: Centring, bgr: Image) -> None:
        """Pull the estimate towards what the network sees."""
        offset = np.array([seen.x, seen.y, seen.log_size])
        if np.abs(offset).max() > MEASURE_AGAIN:
            there = _Face.at(face.region(), self._now_s)
            there.move(offset, 1.0, 1.0)
            again, _ = self._locate(there.region(), bgr)
            if again.confidence >= FACE:
                there.move(np.array([again.x, again.y, again.log_size]), 1.0, 1.0)
                offset = np.array(
                    [
                        (there.x - face.x) / face.size,
                        (there.y - face.y) / face.size,
                        math.log(there.size / face.size),
                    ]
                )
        far = float(np.abs(offset).max()) / FAR_OFF
        face.move(
            offset,
            min(1.0, max(1 - math.exp(-self._dt_s / POSITION_TIME_S), far)),
            min(1.0, max(1 - math.exp(-self._dt_s / SIZE_TIME_S), far)),
        )

    def _ask_cascade(
        self,
        face: _Face,
        before: FaceRegion,
        patch: NDArray[np.uint8],
        seen: Centring,
        bgr: Image,
    ) -> Centring:
        """Let the cascade check the place; it can bring back a face that jumped a little."""
        window = Window.around(before)
        doubtful = seen.confidence < FACE
        missed = self._now_s - face.seen_s > 1.5 * CASCADE_INTERVAL_S
        found = self._detector.detect_near(
            patch, window.to_patch(before), thorough=doubtful or missed
        )
        self._next_cascade_s = self._now_s + (
            RETRY_INTERVAL_S if doubtful and found is None else CASCADE_INTERVAL_S
        )
        if found is None:
            return seen
        face.seen_s = self._now_s
        if not doubtful:
            return seen
        jumped = _Face.at(window.to_frame(found.region), self._now_s)
        if not self._centre(jumped, bgr):
            return seen
        face.x, face.y, face.size = jumped.x, jumped.y, jumped.size
        return Centring(0.0, 0.0, 0.0, 1.0)

    def _is_cut(self, bgr: Image) -> bool:
        """Whether the whole frame is nothing like the one before."""
        small = cv2.resize(bgr, (2 * THUMB_PX[0], 2 * THUMB_PX[1]), interpolation=cv2.INTER_LINEAR)
        small = cv2.resize(small, THUMB_PX, interpolation=cv2.INTER_AREA)
        thumb = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        before, self._thumb = self._thumb, thumb
        if before is None or float(cv2.absdiff(thumb, before).mean()) < CUT_LEVELS:
            return False
        # Up to one thumbnail pixel of movement of the camera is no cut.
        likeness = cv2.matchTemplate(thumb, before[1:-1, 1:-1], cv2.TM_CCOEFF_NORMED)
        return float(likeness.max()) < SAME_SCENE

    def _search_for_others(self, face: _Face, bgr: Image) -> None:
        """Change to a better face once it was seen twice."""
        self._next_others_s = self._now_s + OTHERS_INTERVAL_S
        rival, self._rival = self._rival, None
        own = face.region()
        found: list[Found] = self._detector.search(bgr)
        self._why = self._reason(own, found, bgr)
        for other in sorted(found, key=lambda f: -self._merit(f.region, bgr)):
            new = _Face.at(other.region, self._now_s)
            if overlap(other.region, own) > APART or not self._centre(new, bgr):
                continue
            if not self._better(new.region(), own, bgr) or self._turn_of(new.region(), bgr):
                continue
            if rival is not None and overlap(rival, new.region()) > 0.3:
                self._lose(self._now_s)
                self._start(new)
                self._why = self._reason(new.region(), found, bgr)
            else:
                self._rival = new.region()
                self._next_others_s = self._now_s + OTHERS_AGAIN_S
            return

    def _better(self, a: FaceRegion, b: FaceRegion, bgr: Image) -> bool:
        if self._settings.policy == 'largest':
            return a.size > LARGER * b.size
        return self._merit(a, bgr) > self._merit(b, bgr) + NEARER * b.size

    def _lose(self, now_s: float) -> None:
        self._face = None
        self._gone_since_s = now_s
        self._next_search_s = now_s
        self._searches = 0

    # -- output --------------------------------------------------------------------------------

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
