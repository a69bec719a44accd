"""Labels of one video by the MediaPipe face landmarker (kf_imitation/evaluation/labels.py).

Every frame is labelled on its own, so labels are on time. Blendshapes and head rotation are the
mean of four views of each frame, which lowers the teacher's noise; landmarks and the head's place
are of the frame as it is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from kf_imitation.camera.sources import open_source
from kf_imitation.errors import KfImitationError, SourceError
from kf_imitation.evaluation.datasets import Clip, read_points
from kf_imitation.face_geometry.arkit import mirrored_name
from kf_imitation.output_files import new_file
from kf_imitation.parameters.settings import SourceSettings

VIEWS = (1, 4)
LANDMARKS, BLENDSHAPES = 478, 52
_MIRROR = np.diag([-1.0, 1.0, 1.0])
# Faces to choose from where annotated points say which one is meant, and how well it must fit.
_CANDIDATES = 4
_LEAST_OVERLAP = 0.3


class TeacherError(KfImitationError):
    """The teacher is not installed or its model file is missing."""


@dataclass(frozen=True)
class View:
    """One way to show a frame to the teacher: turned and scaled, then mirrored.

    Attributes:
        mirrored: left and right exchanged.
        turn_deg: counter-clockwise on the screen, around the middle.
        scale: of the picture, whose size changes with it.
    """

    mirrored: bool = False
    turn_deg: float = 0.0
    scale: float = 1.0

    def show(self, rgb: np.ndarray) -> np.ndarray:
        """Return the view of a (H, W, 3) uint8 frame."""
        if self.turn_deg or self.scale != 1:
            height, width = rgb.shape[:2]
            size = int(width * self.scale), int(height * self.scale)
            matrix = self._matrix(width, height)
            rgb = cv2.warpAffine(rgb, matrix, size, borderMode=cv2.BORDER_REFLECT)
        return np.ascontiguousarray(rgb[:, ::-1] if self.mirrored else rgb)

    def move(self, points: np.ndarray, width: int, height: int) -> np.ndarray:
        """Move (P, 2) points of a frame to where the view shows them."""
        matrix = self._matrix(width, height)
        moved = points @ matrix[:, :2].T + matrix[:, 2]
        if self.mirrored:
            moved[:, 0] = int(width * self.scale) - 1 - moved[:, 0]
        return moved

    def undo_rotation(self, rotation: np.ndarray) -> np.ndarray:
        """Return the (3, 3) head rotation of the frame from the view's (y up, z to the viewer)."""
        rotation = rotation.astype(float)
        if self.mirrored:
            rotation = _MIRROR @ rotation @ _MIRROR
        return Rotation.from_euler('z', -self.turn_deg, degrees=True).as_matrix() @ rotation

    def _matrix(self, width: int, height: int) -> np.ndarray:
        middle = np.array([width / 2, height / 2])
        matrix = cv2.getRotationMatrix2D(tuple(middle), self.turn_deg, self.scale)
        matrix[:, 2] += (self.scale - 1) * middle
        return matrix


ALL_VIEWS = (
    View(),
    View(mirrored=True, scale=0.9),
    View(turn_deg=5.0),
    View(mirrored=True, turn_deg=5.0, scale=1.1),
)


def check_teacher(model: Path) -> None:
    """Check that the teacher can work.

    Raises:
        TeacherError: MediaPipe or its model file is missing.
    """
    try:
        import mediapipe  # noqa: F401
    except ImportError as error:
        raise TeacherError(
            f'labelling needs MediaPipe ({error}): install it with  pip install mediapipe'
        ) from error
    if not model.is_file():
        raise TeacherError(
            f'model file {model} is missing: name face_landmarker.task with --model or '
            'KF_IMITATION_FACE_LANDMARKER (MediaPipe offers it for download under Face Landmarker)'
        )


class Teacher:
    """The face landmarker, which sees every frame for itself.

    Args:
        model: face_landmarker.task.
        views: the first of ALL_VIEWS.
        candidates: faces found in a view.
    """

    def __init__(self, model: Path, views: int, candidates: int = 1) -> None:
        import mediapipe as mp

        self._mp, vision = mp, mp.tasks.vision
        self._views = ALL_VIEWS[:views]
        self._landmarker: Any = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=mp.tasks.BaseOptions(model_asset_path=str(model)),
                running_mode=vision.RunningMode.IMAGE,
                num_faces=candidates,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
        )

    def close(self) -> None:
        """Free the landmarker."""
        self._landmarker.close()

    def label(self, bgr: np.ndarray, points: np.ndarray | None = None) -> dict[str, Any] | None:
        """Label a frame.

        Args:
            bgr: (H, W, 3) uint8.
            points: (68, 2) of the face that is meant [px]; None: the teacher's first.

        Returns:
            blendshapes (52,), names, head_pose (4, 4), landmarks (478, 3) [px]; None: one of the
            views shows no face.
        """
        height, width = bgr.shape[:2]
        shapes: list[dict[str, float]] = []
        poses: list[np.ndarray] = []
        rotations: list[np.ndarray] = []
        landmarks: list[np.ndarray] = []
        for view in self._views:
            shown = view.show(bgr[..., ::-1])
            picture = self._mp.Image(image_format=self._mp.ImageFormat.SRGB, data=shown)
            found = self._landmarker.detect(picture)
            unit = np.array([shown.shape[1], shown.shape[0], shown.shape[1]])
            places = [
                unit * np.array([(p.x, p.y, p.z) for p in face]) for face in found.face_landmarks
            ]
            which = 0 if places else None
            if points is not None and places:
                which = _meant(places, view.move(points, width, height))
            if which is None:
                return None
            landmarks.append(places[which])
            row = {c.category_name: c.score for c in found.face_blendshapes[which]}
            shapes.append({mirrored_name(n): v for n, v in row.items()} if view.mirrored else row)
            poses.append(np.array(found.facial_transformation_matrixes[which]))
            rotations.append(view.undo_rotation(poses[-1][:3, :3]))
        names = list(shapes[0])
        pose = np.eye(4, dtype=np.float32)
        pose[:3, :3] = Rotation.from_matrix(rotations).mean().as_matrix()
        pose[:3, 3] = poses[0][:3, 3]
        return {
            'blendshapes': np.array([np.mean([s[n] for s in shapes]) for n in names], np.float32),
            'names': names,
            'head_pose': pose,
            'landmarks': landmarks[0],
        }


def label_video(clip: Clip, model: Path, views: int) -> dict[str, int]:
    """Label a video and write its label file whole or not at all.

    Args:
        clip: video and where its labels go; with annotated points the face nearest to them.
        model: of the teacher.
        views: the first of ALL_VIEWS.

    Returns:
        frames, and how many of them are valid.

    Raises:
        SourceError: the video cannot be read, or shows no face at all.
    """
    cv2.setNumThreads(1)
    points = known = None
    source = open_source(str(clip.video), SourceSettings())
    try:
        if clip.points is not None:
            points, known = read_points(clip.points, source.frame_count or 1_000_000)
        teacher = Teacher(model, views, 1 if points is None else _CANDIDATES)
        try:
            rows: list[dict[str, Any] | None] = []
            size = (0, 0)
            while (frame := source.read()) is not None:
                size = (frame.bgr.shape[1], frame.bgr.shape[0])
                i = len(rows)
                meant = (
                    points[i]
                    if points is not None and known is not None and i < len(known) and known[i]
                    else None
                )
                rows.append(teacher.label(frame.bgr, meant))
        finally:
            teacher.close()
    finally:
        source.close()
    arrays = to_arrays(rows, source.fps, size)
    if arrays is None:
        raise SourceError(f'{clip.video}: no face in any of {len(rows)} frames')
    with new_file(clip.labels, overwrite=True) as file:
        np.savez_compressed(file, **arrays)
    return {'frames': len(rows), 'valid': int(arrays['valid'].sum())}


def to_arrays(
    rows: list[dict[str, Any] | None], fps: float, size: tuple[int, int]
) -> dict[str, np.ndarray] | None:
    """Join the frames of a video; frames without a face hold NaN, and 0 as landmarks.

    Args:
        rows: of Teacher.label.
        fps: of the video.
        size: width and height [px].

    Returns:
        The arrays of a label file; None if no frame shows a face.
    """
    seen = [row for row in rows if row is not None]
    if not seen:
        return None
    valid = np.array([row is not None for row in rows], bool)
    blendshapes = np.full((len(rows), BLENDSHAPES), np.nan, np.float32)
    pose = np.full((len(rows), 4, 4), np.nan, np.float32)
    points = np.zeros((len(rows), LANDMARKS, 3), np.int16)
    limits = np.iinfo(np.int16)
    blendshapes[valid] = [row['blendshapes'] for row in seen]
    pose[valid] = [row['head_pose'] for row in seen]
    pixels = np.round(16 * np.array([row['landmarks'] for row in seen]))
    points[valid] = np.clip(pixels, limits.min, limits.max)
    return {
        'blendshapes': blendshapes,
        'names': np.array(seen[0]['names']),
        'head_pose': pose,
        'landmarks_q': points,
        'valid': valid,
        'fps': np.array(float(fps)),
        'size': np.array(size, float),
        'mode': np.array('image'),
    }


def _meant(faces: list[np.ndarray], points: np.ndarray) -> int | None:
    """Return which face's box overlaps most with that of the points; None: none does."""
    overlaps = [_overlap(face[:, :2], points) for face in faces]
    best = int(np.argmax(overlaps))
    return best if overlaps[best] >= _LEAST_OVERLAP else None


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    low = np.maximum(a.min(axis=0), b.min(axis=0))
    high = np.minimum(a.max(axis=0), b.max(axis=0))
    both = float(np.clip(high - low, 0, None).prod())
    whole = float(np.ptp(a, axis=0).prod() + np.ptp(b, axis=0).prod())
    return both / (whole - both) if whole > both else 0.0
