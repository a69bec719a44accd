"""Labels of one video by the MediaPipe face landmarker, in the form of training/data/labels.py.

Blendshapes and head pose are the mean of four views of each frame (as it is, mirrored, turned,
scaled), which lowers the teacher's noise; landmarks are of the frame as it is.
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
from kf_imitation.output_files import new_file
from kf_imitation.parameters.settings import SourceSettings

VIEWS = (1, 4)
TURN_DEG = 6.0
SCALE = 0.9
LANDMARKS = 478
_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
# Faces to choose from where annotated points say which one is meant, and how well it must fit.
_CANDIDATES = 4
_LEAST_OVERLAP = 0.3


class TeacherError(KfImitationError):
    """The teacher is not installed or its model file is missing."""


@dataclass(frozen=True)
class View:
    """One way to show a frame to the teacher.

    Attributes:
        mirrored: left and right exchanged.
        turn_deg: counter-clockwise on the screen.
        scale: of the picture around its middle.
    """

    mirrored: bool = False
    turn_deg: float = 0.0
    scale: float = 1.0

    def show(self, rgb: np.ndarray) -> np.ndarray:
        """Return the view of a (H, W, 3) uint8 frame, of the same size."""
        if self.mirrored:
            return np.ascontiguousarray(rgb[:, ::-1])
        if not self.turn_deg and self.scale == 1:
            return np.ascontiguousarray(rgb)
        height, width = rgb.shape[:2]
        middle = ((width - 1) / 2, (height - 1) / 2)
        matrix = cv2.getRotationMatrix2D(middle, self.turn_deg, self.scale)
        return cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    def undo_pose(self, pose: np.ndarray) -> np.ndarray:
        """Return the (4, 4) head pose of the frame from the view's (y up, z to the viewer)."""
        pose = pose.astype(float).copy()
        if self.mirrored:
            return _MIRROR @ pose @ _MIRROR
        back = np.eye(4)
        back[:3, :3] = Rotation.from_euler('z', -self.turn_deg, degrees=True).as_matrix()
        pose = back @ pose
        # A face shown smaller looks farther away.
        pose[:3, 3] *= self.scale
        return pose


ALL_VIEWS = (View(), View(mirrored=True), View(turn_deg=TURN_DEG), View(scale=SCALE))


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
    """The face landmarker, one tracker for each view.

    Args:
        model: face_landmarker.task.
        views: the first of ALL_VIEWS; videos are labelled with 1 or 4.
        candidates: faces found in the frame as it is.
        video: follow and smooth over time, as the labels of clips were made; false sees every
            frame for itself, which shakes a little and is late by nothing.
    """

    def __init__(self, model: Path, views: int, candidates: int = 1, video: bool = True) -> None:
        import mediapipe as mp

        self._mp, vision = mp, mp.tasks.vision
        self._video = video
        self._views = ALL_VIEWS[:views]
        self._trackers: list[Any] = [
            vision.FaceLandmarker.create_from_options(
                vision.FaceLandmarkerOptions(
                    base_options=mp.tasks.BaseOptions(model_asset_path=str(model)),
                    running_mode=vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE,
                    num_faces=candidates,
                    output_face_blendshapes=True,
                    output_facial_transformation_matrixes=True,
                )
            )
            for _ in self._views
        ]

    def close(self) -> None:
        """Free the trackers."""
        for tracker in self._trackers:
            tracker.close()

    def label(
        self,
        bgr: np.ndarray,
        stamp_ms: int,
        points: np.ndarray | None = None,
        every_view: bool = False,
    ) -> dict[str, Any] | None:
        """Label the next frame.

        Args:
            bgr: (H, W, 3) uint8.
            stamp_ms: later than the frame before; of no meaning without `video`.
            points: (68, 2) of the face that is meant [px]; None: the teacher's first.
            every_view: a face must be seen in all views, not only in the frame as it is.

        Returns:
            blendshapes (52,), names, head_pose (4, 4), landmarks (478, 3) [px]; None: no face.
        """
        height, width = bgr.shape[:2]
        rgb = bgr[..., ::-1]
        shapes: list[dict[str, float]] = []
        poses: list[np.ndarray] = []
        landmarks = None
        for view, tracker in zip(self._views, self._trackers, strict=True):
            picture = self._mp.Image(image_format=self._mp.ImageFormat.SRGB, data=view.show(rgb))
            if self._video:
                found = tracker.detect_for_video(picture, stamp_ms)
            else:
                found = tracker.detect(picture)
            places = [
                np.array([(p.x * width, p.y * height, p.z * width) for p in face])
                for face in found.face_landmarks
            ]
            which = 0 if places else None
            if points is not None and places:
                which = _meant(places, _shown(points, view, width, height))
            if which is None:
                if landmarks is None or every_view:
                    return None
                continue
            if landmarks is None:
                landmarks = places[which]
            row = {c.category_name: c.score for c in found.face_blendshapes[which]}
            shapes.append({_other_side(n): v for n, v in row.items()} if view.mirrored else row)
            poses.append(view.undo_pose(np.array(found.facial_transformation_matrixes[which])))
        names = list(shapes[0])
        return {
            'blendshapes': np.array([np.mean([s[n] for s in shapes]) for n in names], np.float32),
            'names': names,
            'head_pose': mean_pose(poses),
            'landmarks': landmarks,
        }


def mean_pose(poses: list[np.ndarray]) -> np.ndarray:
    """Return the (4, 4) float32 mean of head poses: rotations as such, translations [cm]."""
    stacked = np.stack(poses)
    matrices = stacked[:, :3, :3]
    matrices = matrices / np.linalg.norm(matrices, axis=1, keepdims=True)
    mean = np.eye(4, dtype=np.float32)
    mean[:3, :3] = Rotation.from_matrix(matrices).mean().as_matrix()
    mean[:3, 3] = stacked[:, :3, 3].mean(axis=0)
    return mean


def label_video(clip: Clip, model: Path, views: int) -> dict[str, int]:
    """Label a video and write its label file whole or not at all.

    Args:
        clip: video and where its labels go; with annotated points the face nearest to them.
        model: of the teacher.
        views: 1 or 4.

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
                rows.append(teacher.label(frame.bgr, round(1000 * i / source.fps), meant))
        finally:
            teacher.close()
    finally:
        source.close()
    arrays = to_arrays(rows, source.fps, size)
    if arrays is None:
        raise SourceError(f'{clip.video}: no face in any of {len(rows)} frames')
    arrays['views'] = np.array(views)
    with new_file(clip.labels, overwrite=True) as file:
        np.savez_compressed(file, **arrays)
    return {'frames': len(rows), 'valid': int(arrays['valid'].sum())}


def to_arrays(
    rows: list[dict[str, Any] | None], fps: float, size: tuple[int, int]
) -> dict[str, np.ndarray] | None:
    """Join the frames of a video; frames without a face repeat the nearest one with a face.

    Args:
        rows: of Teacher.label.
        fps: of the video.
        size: width and height [px].

    Returns:
        The arrays of a label file; None if no frame shows a face.
    """
    valid = np.array([row is not None for row in rows], bool)
    seen = np.flatnonzero(valid)
    if not len(seen):
        return None
    nearest = [rows[seen[np.abs(seen - i).argmin()]] for i in range(len(rows))]
    full = [row for row in nearest if row is not None]
    landmarks = np.stack([row['landmarks'] for row in full])
    limits = np.iinfo(np.int16)
    return {
        'blendshapes': np.stack([row['blendshapes'] for row in full]),
        'names': np.array(full[0]['names']),
        'head_pose': np.stack([row['head_pose'] for row in full]),
        'landmarks_q': np.clip(np.round(landmarks * 16), limits.min, limits.max).astype(np.int16),
        'valid': valid,
        'fps': np.array(float(fps)),
        'size': np.array(size, float),
    }


def _other_side(name: str) -> str:
    if 'Left' in name:
        return name.replace('Left', 'Right')
    return name.replace('Right', 'Left')


def _shown(points: np.ndarray, view: View, width: int, height: int) -> np.ndarray:
    """Move (P, 2) points of a frame to where a view shows them."""
    if view.mirrored:
        return np.array([width - 1, 0]) + points * np.array([-1, 1])
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, view.turn_deg, view.scale)
    return points @ matrix[:, :2].T + matrix[:, 2]


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
