"""Measure what renders can show exactly: a neutral head that turns, and a covered mouth or eye.

    .venv/bin/python -m training.landmarks.measure.renders [--people 4]

Turning: the face keeps its neutral expression while the head turns by up to 40 degrees; what any
channel but head and gaze moves by is an error. Covering: an ellipse of skin colour, as a hand
would be, is put over the lips or an eye; the confidence of those channels must fall.
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from face_renderer.demo import DISTANCE_CM, LIGHTS, demo_actor, room
from face_renderer.effects import CameraEffects
from face_renderer.face_model import FaceModel, default_path
from face_renderer.scene import Actor, Camera, Pose, render
from kf_imitation.cli.terminal import write_json
from kf_imitation.data_types import CHANNELS, UNIT_CHANNELS, CameraModel, FaceRegion, Landmarks
from kf_imitation.expression.calibration import Calibration
from kf_imitation.expression.channels import channel_confidence, raw_channels
from kf_imitation.face.canonical_region import canonical_region
from kf_imitation.face_geometry import wflw
from kf_imitation.face_geometry.head_pose import solve_head_pose
from kf_imitation.pipeline.face_pipeline import build_landmark_model

SIZE_PX = 320
YAWS_DEG = (-40, -30, -20, -10, 10, 20, 30, 40)
PITCHES_DEG = (-20, -10, 10, 20)
COVERED = {
    'lips': (wflw.OUTER_LIP, 'jaw_open'),
    'left eye': (wflw.LEFT_EYE, 'eye_close_left'),
    'right eye': (wflw.RIGHT_EYE, 'eye_close_right'),
}
Picture = NDArray[np.uint8]


class Reader:
    """Channels of one picture with the default calibration."""

    def __init__(self, model: str, eyes: str, parts: str) -> None:
        named = {'model': model, 'eyes': eyes, 'parts': parts}
        self._model = build_landmark_model({**named, 'threads': 1})
        self.camera = CameraModel(SIZE_PX, SIZE_PX, SIZE_PX * 2.0)
        self._calibration = Calibration.default()

    def read(self, bgr: Picture, region: FaceRegion) -> tuple[Landmarks, NDArray[np.float64]]:
        """Landmarks and channels (19,)."""
        found = self._model.predict(bgr, region, 0)
        pose = solve_head_pose(found, self.camera)
        return found, self._calibration.apply(raw_channels(found, pose))


def draw(actor: Actor, yaw_deg: float, pitch_deg: float) -> tuple[Picture, NDArray[np.float32]]:
    """A neutral face and its 98 points [px]."""
    pose = Pose(np.radians(yaw_deg), np.radians(pitch_deg), 0.0, 0.0, -0.6, -DISTANCE_CM)
    camera = Camera(SIZE_PX * 2.0, SIZE_PX / 2, SIZE_PX * 0.545, SIZE_PX, SIZE_PX)
    weights = np.zeros(len(actor.person.model.expression_names), np.float32)
    drawn = render(actor, weights, pose, camera, LIGHTS, room(SIZE_PX), 0.92)
    bgr = CameraEffects(0, 0.35, (0.0, 0.0), 0.004, 0, (1.0, 1.0, 1.0), 1.0, 0.0).apply(
        drawn.image, np.random.default_rng(0)
    )
    return bgr, drawn.landmarks.astype(np.float32) - 0.5


def turning(reader: Reader, people: list[Actor]) -> dict[str, dict[str, float]]:
    """By channel: the largest move from the frontal face over all people, and at which angle."""
    worst: dict[str, dict[str, float]] = {}
    angles = [(float(y), 0.0) for y in YAWS_DEG] + [(0.0, float(p)) for p in PITCHES_DEG]
    for actor in people:
        bgr, points = draw(actor, 0.0, 0.0)
        front = reader.read(bgr, canonical_region(points))[1]
        for yaw, pitch in angles:
            bgr, points = draw(actor, yaw, pitch)
            moved = np.abs(reader.read(bgr, canonical_region(points))[1] - front)
            for name in UNIT_CHANNELS:
                move = float(moved[CHANNELS.index(name)])
                if move > worst.get(name, {'move': -1.0})['move']:
                    worst[name] = {'move': move, 'yaw_deg': yaw, 'pitch_deg': pitch}
    return worst


def covering(reader: Reader, people: list[Actor]) -> dict[str, dict[str, float]]:
    """By part: mean confidence of its channel, free and covered."""
    result: dict[str, dict[str, float]] = {}
    for part, (points_of, channel) in COVERED.items():
        sure: dict[str, list[float]] = {'free': [], 'covered': []}
        for actor in people:
            bgr, points = draw(actor, 0.0, 0.0)
            region = canonical_region(points)
            low, high = points[list(points_of)].min(0), points[list(points_of)].max(0)
            hidden = bgr.copy()
            centre = tuple(int(v) for v in (low + high) / 2)
            axes = tuple(int(v) for v in (high - low) * 0.75 + 4)
            skin = tuple(
                float(v) for v in np.median(bgr[centre[1] - 30 : centre[1], centre[0]], 0)
            )
            cv2.ellipse(hidden, centre, axes, 0, 0, 360, skin, -1, cv2.LINE_AA)
            for name, picture in (('free', bgr), ('covered', hidden)):
                found, _ = reader.read(picture, region)
                sure[name].append(float(channel_confidence(found)[CHANNELS.index(channel)]))
        result[part] = {name: float(np.mean(values)) for name, values in sure.items()}
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', default='landmarks_pfld')
    parser.add_argument('--eyes', default='landmarks_eyes', help='empty does without')
    parser.add_argument('--parts', default='landmarks_parts', help='empty does without')
    parser.add_argument('--people', type=int, default=4)
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    face = FaceModel.load(default_path())
    people = [demo_actor(face, seed) for seed in range(3, 3 + arguments.people)]
    reader = Reader(arguments.model, arguments.eyes, arguments.parts)
    report: dict[str, Any] = {'turning': turning(reader, people)}
    report['covering'] = covering(reader, people)
    for name, row in report['turning'].items():
        where = f'yaw {row["yaw_deg"]:+.0f}, pitch {row["pitch_deg"]:+.0f} degrees'
        print(f'{name:20s} moves by {row["move"]:.3f} at most ({where})')
    for part, row in report['covering'].items():
        print(f'{part:20s} confidence {row["free"]:.2f} free, {row["covered"]:.2f} covered')
    write_json(report, arguments.json)


if __name__ == '__main__':
    main()
