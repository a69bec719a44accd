"""Photographs of many people, made to move like the people of the training clips.

`python -m training.data.animate --out data/animated --sequences 2000`

Labelled clips show a few dozen people, face images hundreds. Here the landmark motion of a short
piece of a clip is carried over to a face image: the face mesh of the image is moved, turned a
little and drawn with the image as its texture. The teacher that labelled the clips then labels
the result, so that a label is what the teacher sees and not what was intended; but for the points,
which are those drawn. It sees every frame for itself: what it smooths over time is late.

The output has the form of cached clips (clip_cache.py), many sequences in one array with
`starts`, the first frame of each.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from training.data.face_mesh import RIGID, eye_distance
from training.data.face_states import FaceStates, load_face_states
from training.data.face_warp import CANVAS_PX, Face, Mesh
from training.data.mouth_paint import draw_mouth
from training.labels.video import Teacher, TeacherError, check_teacher

FRAMES = 12
FPS = 25.0
# Mean distance of the points drawn and seen beyond which another face was seen [eye distances].
FAR_OFF = 0.15
# Around a face before the teacher sees it.
AIR_PX = 32
# Faces of the most similar expression that one borrows its shape from.
ALIKE = 100
MOST_BORROWED = 0.9
# Camera axes of head poses (x right, y up, z to the viewer) against image axes.
FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Motion:
    """A piece of a clip.

    Attributes:
        offsets: (T, 478, 3) motion of the skin in the head's axes, in eye distances, against the
            first frame.
        turns: (T, 3, 3) head rotation against the first frame, in image axes.
        shifts: (T, 2) motion of the head over the image, in eye distances.
    """

    offsets: np.ndarray
    turns: np.ndarray
    shifts: np.ndarray


def load_faces(file: Path, smallest_px: int = 90) -> list[Face]:
    """Read face images that are large enough and whose landmarks lie inside.

    Args:
        file: <split>.npz with the folder <split>/ next to it.
        smallest_px: edge of the smallest image taken.
    """
    faces = []
    with np.load(file) as data:
        names = [str(n) for n in data['name']]
        points = data['landmarks_q'].astype(np.float32) / 16
        poses = data['head_pose'][:, :3, :3]
        shapes = data['blendshapes']
    poses = poses / np.linalg.norm(poses, axis=1, keepdims=True)
    for name, place, pose, shape in zip(names, points, poses, shapes, strict=True):
        image: np.ndarray = cv2.imread(str(file.with_suffix('') / name))
        size = image.shape[0]
        inside = (place[:, :2] > 1).all() and (place[:, :2] < size - 2).all()
        if size < smallest_px or not inside:
            continue
        scale = CANVAS_PX / size
        way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        canvas = cv2.resize(image, (CANVAS_PX, CANVAS_PX), interpolation=way)
        moved = place * scale
        moved[:, :2] += 0.5 * scale - 0.5
        faces.append(Face(canvas, moved, FLIP @ pose @ FLIP, shape))
    return faces


def take_motion(points: np.ndarray, rotation: np.ndarray) -> Motion:
    """Split landmark motion into the head's and the skin's.

    Args:
        points: (T, 478, 3) landmarks of consecutive frames [px].
        rotation: (T, 3, 3) of the head in image axes.
    """
    first = points[0]
    unit = eye_distance(first)
    centre = first[RIGID].mean(axis=0)
    offsets, turns, shifts = [], [], []
    for place, turned in zip(points, rotation, strict=True):
        middle = place[RIGID].mean(axis=0)
        a, b = place[RIGID] - middle, first[RIGID] - centre
        scale = np.sqrt((b**2).sum() / (a**2).sum())
        left, _, right = np.linalg.svd(b.T @ a)
        align = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
        still = (place - middle) @ align.T * scale + centre
        offsets.append((still - first) @ rotation[0] / unit)
        turns.append(turned @ rotation[0].T)
        shifts.append((middle - centre)[:2] / unit)
    return Motion(np.stack(offsets), np.stack(turns), np.stack(shifts))


def draw_motion(
    rng: np.random.Generator, clips: list[tuple[np.ndarray, FaceStates]], frames: int
) -> Motion:
    """Cut a piece out of the training clips, lively pieces more often.

    Args:
        rng: source of chance.
        clips: (N, 478, 3) points [px] and labels of each clip.
        frames: length of the piece.
    """
    while True:
        points, labels = clips[int(rng.integers(len(clips)))]
        start = int(rng.integers(0, len(points) - frames + 1))
        part = slice(start, start + frames)
        if not labels.valid[part].all():
            continue
        lively = np.abs(np.diff(labels.blendshapes[part], axis=0)).sum(axis=1).mean()
        if rng.random() < 0.25 + lively / 0.3:
            break
    rotation = FLIP @ Rotation.from_rotvec(labels.rotation[part]).as_matrix() @ FLIP
    order = slice(None, None, -1) if rng.random() < 0.5 else slice(None)
    smooth = gaussian_filter1d(points[part], 0.9, axis=0, mode='nearest')
    return take_motion(smooth[order], rotation[order])


def move_points(face: Face, motion: Motion, skin: float, head: float) -> np.ndarray:
    """Carry a motion over to a face.

    Args:
        face: that shall move.
        motion: of somebody else.
        skin: factor on the motion of the skin.
        head: factor on turns and shifts of the head.

    Returns:
        (T, 478, 3) landmarks [px].
    """
    unit = eye_distance(face.points)
    # The head turns about a point behind the face.
    pivot = face.points[RIGID].mean(axis=0) + unit * (face.rotation @ np.array([0, 0, 0.8]))
    turns = Rotation.from_matrix(motion.turns).as_rotvec() * head
    moved = []
    for offset, turn, shift in zip(motion.offsets, turns, motion.shifts, strict=True):
        place = face.points + skin * unit * offset @ face.rotation.T
        place = (place - pivot) @ Rotation.from_rotvec(turn).as_matrix().T + pivot
        place[:, :2] += 0.3 * head * unit * shift
        moved.append(place)
    return np.stack(moved)


def borrow_shape(face: Face, other: Face, fraction: float) -> Face:
    """Give a face some of the shape of another, so that few photographs show many people.

    Args:
        face: keeps its picture, size, place and turn.
        other: of about the same expression, which belongs to its shape.
        fraction: of the other's shape, 0..1.

    Returns:
        The face with the points it shall have; its picture is as before.
    """
    own, wanted = (
        (f.points - f.points[RIGID].mean(axis=0)) @ f.rotation / eye_distance(f.points)
        for f in (face, other)
    )
    change = fraction * eye_distance(face.points) * (wanted - own) @ face.rotation.T
    return replace(face, points=face.points + change)


def sequences(
    faces: list[Face], clips: list[tuple[np.ndarray, FaceStates]], seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (T, S, S, 3) uint8 animated faces and their (T, 478, 3) points [px], without end.

    A seed repeats them.
    """
    rng = np.random.default_rng(seed)
    shapes = np.stack([face.blendshapes for face in faces])
    while True:
        chosen = int(rng.integers(len(faces)))
        face = faces[chosen]
        alike = np.argsort(np.linalg.norm(shapes - shapes[chosen], axis=1))[1 : 1 + ALIKE]
        shaped = borrow_shape(face, faces[int(rng.choice(alike))], rng.uniform(0, MOST_BORROWED))
        motion = draw_motion(rng, clips, FRAMES)
        moved = move_points(shaped, motion, rng.uniform(0.7, 1.4), rng.uniform(0, 1))
        mesh = Mesh(face)
        mouth = draw_mouth(rng, face.image, face.points)
        yield np.stack([mesh.draw(points, mouth) for points in moved]), moved


def label_sequence(
    teacher: Teacher, frames: np.ndarray, points: np.ndarray
) -> dict[str, np.ndarray] | None:
    """Label a sequence, each frame seen as it is and mirrored.

    Args:
        teacher: with two views.
        frames: (T, S, S, 3) uint8 BGR.
        points: (T, 478, 3) as drawn [px].

    Returns:
        blendshapes (T, 52), head_pose (T, 3, 3), points (T, 478, 2) [px] and names; None if a
        frame shows no face to the teacher, or one elsewhere.
    """
    rows = []
    for frame, drawn in zip(frames, points, strict=True):
        # The detector wants some air around a face.
        wide = cv2.copyMakeBorder(frame, AIR_PX, AIR_PX, AIR_PX, AIR_PX, cv2.BORDER_REPLICATE)
        row = teacher.label(wide)
        if row is None:
            return None
        seen = row['landmarks'] - (AIR_PX + 0.5)
        apart = np.linalg.norm(seen[:, :2] - drawn[:, :2], axis=1).mean()
        if apart > FAR_OFF * eye_distance(drawn):
            return None
        rows.append(row)
    return {
        'blendshapes': np.stack([row['blendshapes'] for row in rows]),
        'head_pose': np.stack([row['head_pose'][:3, :3] for row in rows]),
        'points': points[..., :2],
        'names': np.array(rows[0]['names']),
    }


def main() -> None:
    """Write a shard of animated and labelled sequences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--faces', type=Path, default=Path('../shared/data/faces/train.npz'))
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/train'))
    parser.add_argument('--hold-out', nargs='*', default=[], help='stems not to take motion from')
    parser.add_argument(
        '--model', type=Path, default=Path('../shared/models/face_landmarker.task')
    )
    parser.add_argument('--out', type=Path, default=Path('data/animated'))
    parser.add_argument('--sheet', type=Path, help='only draw some sequences to this picture')
    parser.add_argument('--sequences', type=int, default=250)
    parser.add_argument('--seed', type=int, default=1, help='also names the shard')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    faces = load_faces(arguments.faces)
    clips = []
    for file in sorted(arguments.clips.glob('*.npz')):
        labels = load_face_states(file)
        if file.stem not in arguments.hold_out and len(labels.valid) > FRAMES:
            with np.load(file) as data:
                clips.append((data['landmarks_q'].astype(np.float32) / 16, labels))
    print(f'{len(faces)} faces, {len(clips)} clips', flush=True)
    if arguments.sheet:
        drawn = sequences(faces, clips, arguments.seed)
        strips = [np.hstack(list(next(drawn)[0][::3])) for _ in range(8)]
        cv2.imwrite(str(arguments.sheet), np.vstack(strips))
        return
    try:
        check_teacher(arguments.model)
    except TeacherError as error:
        parser.exit(2, f'{error}\n')
    teacher = Teacher(arguments.model, views=2)
    frames: list[np.ndarray] = []
    rows: list[dict[str, np.ndarray]] = []
    begin = time.monotonic()
    source = sequences(faces, clips, arguments.seed)
    rejected = 0
    while len(frames) < arguments.sequences:
        sequence, points = next(source)
        labels_of = label_sequence(teacher, sequence, points)
        if labels_of is None:
            rejected += 1
            continue
        frames.append(sequence)
        rows.append(labels_of)
        if len(frames) % 50 == 0:
            pace = (time.monotonic() - begin) / len(frames)
            print(f'{len(frames)} sequences, {pace:.2f} s each, {rejected} rejected', flush=True)
    write_shard(arguments.out / f'animated_{arguments.seed:04d}', frames, rows)


def write_shard(target: Path, frames: list[np.ndarray], rows: list[dict[str, np.ndarray]]) -> None:
    """Write sequences as a cached clip with its labels.

    Args:
        target: without ending; .npy, .json and .npz are written.
        frames: (T, S, S, 3) each.
        rows: of label_sequence.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    points = np.concatenate([r['points'] for r in rows])
    pose = np.zeros((len(points), 4, 4), np.float32)
    pose[:, :3, :3] = np.concatenate([r['head_pose'] for r in rows])
    pose[:, 3, 3] = 1
    landmarks = np.concatenate([points, np.zeros_like(points[..., :1])], axis=-1)
    lengths = [len(f) for f in frames]
    np.savez(
        target.with_suffix('.npz'),
        blendshapes=np.concatenate([r['blendshapes'] for r in rows]),
        names=rows[0]['names'],
        head_pose=pose,
        landmarks_q=np.round(landmarks * 16).astype(np.int16),
        valid=np.ones(len(points), bool),
        fps=FPS,
        size=np.array([CANVAS_PX, CANVAS_PX]),
        starts=np.cumsum([0, *lengths[:-1]]),
    )
    placement = {'left': 0, 'top': 0, 'scale': 1.0, 'video': str(target.with_suffix('.mp4'))}
    target.with_suffix('.json').write_text(json.dumps(placement))
    # Not a name that trainings look for.
    temporary = target.with_name(f'tmp_{target.name}.npy')
    np.save(temporary, np.concatenate(frames))
    os.replace(temporary, target.with_suffix('.npy'))


if __name__ == '__main__':
    main()
