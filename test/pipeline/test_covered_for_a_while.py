"""A face that is covered for a while: the whole chain holds still, simulated servos included.

The rendered person of the demo clip smiles, comes to rest and is covered there for two seconds, or
is at rest and covered from the first frame on.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kf_imitation.camera.left_out import LeftOut
from kf_imitation.data_types import CHANNELS, UNIT_CHANNELS, CameraModel, Frame
from kf_imitation.replay.simulation import build_stages, replay
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.ros_graph.nodes import merged_parameters

MEDIA = Path(__file__).resolve().parents[2] / 'media'
FPS, SIZE = 30, 480
REST = 69  # frame of the clip: the smile is over
COVERED, UNCOVERED, END = 100, 160, 175  # frames
ALWAYS = 0, END
FROM_THE_START = 0, 110
STILL = 0.1  # share of a channel: where a person counts as at rest (docs/offline.md)


class Film:
    """The clip up to REST, then that frame with fresh noise, covered for a while."""

    name, is_live, fps, frame_count = 'film', False, float(FPS), END
    camera = CameraModel(SIZE, SIZE, 2.0 * SIZE)

    def __init__(self, cover, covered=(COVERED, UNCOVERED)):
        self.left_out = LeftOut('film')
        self.covered_in = range(*covered)
        self.first = REST if covered[0] == 0 else 0
        self.next = 0
        self.rng = np.random.default_rng(3)
        capture = cv2.VideoCapture(str(MEDIA / 'demo.mp4'))
        self.pictures = [capture.read()[1] for _ in range(REST + 1)]
        with np.load(MEDIA / 'demo.npz') as labels:
            self.covered = cover(self.pictures[REST].copy(), labels['landmarks98'][REST])

    def open(self):
        self.next = 0

    def close(self):
        pass

    def read(self):
        index, self.next = self.next, self.next + 1
        if index >= END:
            return None
        picture = self.pictures[min(self.first + index, REST)]
        if index in self.covered_in:
            picture = self.covered
        if self.first + index > REST:
            noise = self.rng.normal(0, 1.5, picture.shape)
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
        return Frame(index, round(index / FPS * 1e9), picture)


def mouth_of(points):
    lips = points[76:96]
    return lips.mean(axis=0), np.ptp(lips[:, 0])


def skin_over_the_mouth(picture, points):
    (x, y), width = mouth_of(points)
    nose_x, nose_y = points[54].astype(int)
    skin = picture[nose_y - 20 : nose_y - 12, nose_x - 4 : nose_x + 4].reshape(-1, 3).mean(axis=0)
    axes = round(0.95 * width), round(0.6 * width)
    return cv2.ellipse(
        picture, (round(x), round(y)), axes, 10, 0, 360, skin.tolist(), -1, cv2.LINE_AA
    )


def masked(picture, points):
    outline = cv2.convexHull(np.vstack([points[4:29], points[53] - [0, 10]]).astype(np.int32))
    return cv2.fillConvexPoly(picture, outline, (190, 150, 110), cv2.LINE_AA)


def with_sunglasses(picture, points):
    for eye in (points[60:68], points[68:76]):
        (x, y), width = eye.mean(axis=0), np.ptp(eye[:, 0])
        axes = round(0.85 * width), round(0.6 * width)
        cv2.ellipse(picture, (round(x), round(y)), axes, 0, 0, 360, (18, 16, 15), -1, cv2.LINE_AA)
    return picture


def shown_of(film):
    """Times [s] and channels (T, 19) that the head shows, and expressions of the keyframes."""
    values = merged_parameters()
    values['keyframe'] |= {'model': 'keyframe_default', 'threads': 1}
    record = replay(film, build_stages(values, 'sim_face'), 'travel')
    channels_of = JointMapping(load_robot('sim_face')).channels
    shown = np.stack([channels_of(row) for row in record.joints.present_rad])
    time_s = (record.joints.stamp_ns - record.joints.stamp_ns[0]) * 1e-9
    return time_s, shown, [posed.expression.values for posed in record.posed]


def test_eyes_behind_glasses_from_the_first_frame_on_begin_open_and_stay_so():
    # A person who keeps still: no keyframe ever says that eyes are hidden.
    _, shown, _ = shown_of(Film(with_sunglasses, ALWAYS))
    eyes = [k for k, name in enumerate(CHANNELS) if name.startswith(('eye', 'gaze'))]
    assert np.abs(shown[:, eyes]).max() < STILL


@pytest.mark.parametrize('cover', [skin_over_the_mouth, masked, with_sunglasses])
def test_what_is_covered_is_held_and_nothing_is_invented(cover):
    time_s, shown, _ = shown_of(Film(cover))
    before = (time_s > COVERED / FPS - 0.5) & (time_s < COVERED / FPS)
    hidden = (time_s >= COVERED / FPS) & (time_s < UNCOVERED / FPS)
    moved = np.abs(shown[hidden] - np.median(shown[before], axis=0)).max(axis=0)
    moved_by = {n: float(moved[CHANNELS.index(n)].round(2)) for n in UNIT_CHANNELS}
    assert {name: value for name, value in moved_by.items() if value > STILL} == {}


@pytest.mark.parametrize('cover', [skin_over_the_mouth, masked, with_sunglasses])
def test_a_face_that_began_covered_shows_once_it_is_uncovered_what_its_keyframe_reads(cover):
    time_s, shown, keyframes = shown_of(Film(cover, FROM_THE_START))
    free = time_s >= FROM_THE_START[1] / FPS
    most = (shown[free] - np.max([np.zeros(len(CHANNELS)), *keyframes], axis=0)).max(axis=0)
    found = {name: float(most[CHANNELS.index(name)].round(2)) for name in UNIT_CHANNELS}
    assert {name: value for name, value in found.items() if value > STILL} == {}
