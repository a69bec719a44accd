"""Two people near each other: which of them a face belongs to once they have crossed."""

import math
from collections.abc import Sequence
from enum import Enum
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FaceRegion, Image
from kf_imitation.face.canonical_region import overlap

APART = 0.2  # two faces overlap no more
CLEAR = 0.1  # two regions that overlap no more hide nothing of each other
SAME_FACE = 0.5  # two readings of one face overlap more
SAME_PLACE = 0.3  # two sights of one person, a frame apart, overlap more
SPEED_TIME_S = 0.25
LOOK_TIME_S = 0.5
FORESIGHT_S = 2.5  # how long people are supposed to walk on as they did
GONE_S = 1.5  # out of sight for so long, and not behind or before the one who is followed
LONGEST_S = 4.0  # behind one another; then nothing is known any more
# Costs of a face as one person or the other add up in units of what is usual for the same person.
POSITION = 0.3  # off the way supposed, in sizes of the face …
DRIFT = 0.6  # … and more for every second behind one another
LOOK = 1.5  # mean difference of colours (CIELAB)
LOG_SIZE = 0.15
MARGIN = 1.0  # by which a face must be rather the other's before the first counts as hidden
UNLIKE = 10.0  # more is no likeness at all
# What a person looks like: colours of a strip from the hair to the collar, in sizes of the face.
_STRIP_WIDTH, _STRIP_TOP, _STRIP_BOTTOM = 0.6, -0.65, 0.8
_STRIP_SHAPE = (3, 9)


class Verdict(Enum):
    """Who is followed after a frame."""

    SAME = 'the same'
    SWAPPED = 'the other one: go back to the first, who is in sight'
    REPLACED = 'the other one, and the first is gone'
    OVER = 'the same, and nobody is near any more'


class Person:
    """What is known of one of the two.

    Attributes:
        region: last seen by itself.
        seen_s: when.
    """

    def __init__(self, now_s: float, region: FaceRegion, bgr: Image) -> None:
        self.region, self.seen_s = region, now_s
        self._speed = np.zeros(2)  # [px/s]
        self._look = look(bgr, region)

    def see(self, now_s: float, region: FaceRegion, bgr: Image, clear: bool) -> None:
        """Take the next sight; the look only where nobody stands before it."""
        dt_s = max(now_s - self.seen_s, 1e-3)
        speed = (_centre(region) - _centre(self.region)) / dt_s
        self._speed += (1 - math.exp(-dt_s / SPEED_TIME_S)) * (speed - self._speed)
        if clear:
            self._look += (1 - math.exp(-dt_s / LOOK_TIME_S)) * (look(bgr, region) - self._look)
        self.region, self.seen_s = region, now_s

    def expected(self, now_s: float) -> FaceRegion:
        """Where the person is now who walks on as before."""
        ahead_s = min(now_s - self.seen_s, FORESIGHT_S)
        x, y = np.array([self.region.x, self.region.y]) + ahead_s * self._speed
        return FaceRegion(float(x), float(y), self.region.size)

    def cost(self, region: FaceRegion, colours: NDArray[np.float32]) -> float:
        """How little a face looks like the person."""
        size = abs(math.log(region.size / self.region.size))
        return float(np.abs(colours - self._look).mean()) / LOOK + size / LOG_SIZE

    def detour(self, now_s: float, region: FaceRegion) -> float:
        """How little a face is where the person must be."""
        off = np.hypot(*(_centre(region) - _centre(self.expected(now_s)))) / self.region.size
        return float(off) / (POSITION + DRIFT * (now_s - self.seen_s))


class Crossing:
    """Follows the person next to the one followed, and says who is who when they have met.

    While both are seen by themselves it learns how they move and what they look like. Once only
    one face is seen where two people must be, it waits for the second: then the two faces belong
    to the two people so that ways, sizes and colours fit best. A tracker that went over to the
    other one is told so.
    """

    def __init__(self, now_s: float, own: FaceRegion, other: FaceRegion, bgr: Image) -> None:
        self._own = Person(now_s, own, bgr)
        self._other = Person(now_s, other, bgr)
        self._met_s: float | None = None
        self._taken_since_s = math.inf
        self._seen: Sequence[FaceRegion] = ()

    @property
    def own(self) -> FaceRegion:
        """Where the person is who is followed."""
        return self._own.region

    @property
    def met(self) -> bool:
        """Whether one of the two is before the other."""
        return self._met_s is not None

    def places(self, now_s: float) -> list[FaceRegion]:
        """Where a face may be that the tracker does not follow."""
        expected = self._other.expected(now_s)
        return [expected, self._own.expected(now_s), *self._seen] if self.met else [expected]

    def push(
        self,
        now_s: float,
        followed: FaceRegion,
        faces: Sequence[FaceRegion],
        bgr: Image,
        lost_s: float,
    ) -> Verdict:
        """Take the next frame.

        Args:
            now_s: its time.
            followed: the face that the tracker follows; may be any of the two, or both in one.
            faces: what was seen at `places` and elsewhere, the same face more than once too.
            bgr: the frame.
            lost_s: a person hidden for longer is gone.
        """
        if self._met_s is None:
            return self._apart(now_s, followed, faces, bgr)
        self._seen = _each_once(faces)
        two = _two_apart([*faces, followed])
        if two and self._tell_apart(now_s, two, bgr):
            self._met_s = None
            same = overlap(self.own, followed) > SAME_FACE
            return Verdict.SAME if same else Verdict.SWAPPED
        colours = look(bgr, followed)
        mine = self._own.cost(followed, colours), self._other.cost(followed, colours)
        if mine[0] < mine[1] + MARGIN:
            self._taken_since_s = math.inf
        self._taken_since_s = min(self._taken_since_s, now_s)
        if now_s - self._taken_since_s > lost_s:
            self._own, self._other = self._other, self._own
            self._met_s, self._taken_since_s = now_s, math.inf
            return Verdict.REPLACED
        return Verdict.OVER if now_s - self._met_s > LONGEST_S else Verdict.SAME

    def _apart(
        self, now_s: float, own: FaceRegion, faces: Sequence[FaceRegion], bgr: Image
    ) -> Verdict:
        """Learn what the two look like and how they move, until they meet."""
        expected = self._other.expected(now_s)
        near = [f for f in faces if overlap(f, own) <= APART and overlap(f, expected) > SAME_PLACE]
        if near:
            clear = overlap(own, near[0]) <= CLEAR
            self._own.see(now_s, own, bgr, clear)
            self._other.see(now_s, near[0], bgr, clear)
        elif overlap(expected, own) > CLEAR:
            self._met_s, self._taken_since_s, self._seen = now_s, math.inf, ()
        elif now_s - self._other.seen_s > GONE_S:
            return Verdict.OVER
        else:
            self._own.see(now_s, own, bgr, True)
        return Verdict.SAME

    def _tell_apart(self, now_s: float, faces: Sequence[FaceRegion], bgr: Image) -> bool:
        """Give the two faces to the two people so that ways, sizes and colours fit best.

        Returns:
            False where they fit neither way: one of them is no face, or a third person's.
        """
        looks = [look(bgr, face) for face in faces]

        def costs(first: int) -> tuple[float, float]:
            people = ((self._own, first), (self._other, 1 - first))
            one, two = (p.cost(faces[k], looks[k]) + p.detour(now_s, faces[k]) for p, k in people)
            return one, two

        first = min((0, 1), key=lambda k: sum(costs(k)))
        if max(costs(first)) > UNLIKE:
            return False
        self._own.see(now_s, faces[first], bgr, True)
        self._other.see(now_s, faces[1 - first], bgr, True)
        return True


def _each_once(faces: Sequence[FaceRegion]) -> list[FaceRegion]:
    once: list[FaceRegion] = []
    for face in faces:
        if all(overlap(face, other) <= SAME_FACE for other in once):
            once.append(face)
    return once


def _two_apart(faces: Sequence[FaceRegion]) -> Sequence[FaceRegion]:
    """The first two faces that do not hide each other, or nothing."""
    pairs = combinations(faces, 2)
    return next((pair for pair in pairs if overlap(*pair) <= CLEAR), ())


def look(bgr: Image, region: FaceRegion) -> NDArray[np.float32]:
    """What a person looks like: (9, 3, 3) CIELAB."""
    height, width = bgr.shape[:2]
    x, y = _centre(region)
    across, size = _STRIP_WIDTH / 2 * region.size, region.size
    left, right = np.clip([x - across, x + across], 0, width).round().astype(int)
    rows = [y + _STRIP_TOP * size, y + _STRIP_BOTTOM * size]
    top, bottom = np.clip(rows, 0, height).round().astype(int)
    top, left = min(top, height - 1), min(left, width - 1)
    strip = bgr[top : max(bottom, top + 1), left : max(right, left + 1)]
    small = cv2.resize(strip, _STRIP_SHAPE, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.cvtColor(small / 255, cv2.COLOR_BGR2LAB), np.float32)


def _centre(region: FaceRegion) -> NDArray[np.float64]:
    half = region.size / 2
    return np.array([region.x + half, region.y + half])
