"""A hand-made face mesh for tests: ellipses where the teacher has lips, lids and outline."""

import json

import cv2
import numpy as np

from training.data import face_mesh

CROSS = ((0, 0), (3, 0), (0, -3), (-3, 0), (0, 3))


def ring(middle, width, height, count, start):
    """Points on an ellipse, the first at angle `start`, clockwise on the screen."""
    angle = start + 2 * np.pi * np.arange(count) / count
    return np.stack(
        [middle[0] + width * np.cos(angle), middle[1] + height * np.sin(angle)], axis=1
    )


def fake_points():
    """(478, 2) float32 landmarks of a face looking ahead, in pixels of a 192 px image."""
    points = np.full((478, 2), 96.0)

    def put(indices, places):
        points[indices] = places

    put(face_mesh.OUTLINE, ring((96, 96), 50, 62, 36, -np.pi / 2))
    put(face_mesh.INNER_LIPS, ring((96, 128), 14, 0.4, 20, np.pi))
    put(face_mesh.OUTER_LIPS, ring((96, 128), 18, 8, 20, np.pi))
    points[face_mesh.OUTER_LIPS] *= [1, -1]
    points[face_mesh.OUTER_LIPS] += [0, 256]
    right = ring((72, 80), 10, 4, 16, np.pi)
    put(face_mesh.RIGHT_LIDS, right)
    put(face_mesh.LEFT_LIDS, right * [-1, 1] + [192, 0])
    put(face_mesh.RIGHT_IRIS, right.mean(axis=0) + np.array(CROSS))
    points[face_mesh.LEFT_IRIS] = points[face_mesh.RIGHT_IRIS] * [-1, 1] + [192, 0]
    brow = np.stack([np.linspace(58, 86, 10), np.tile([66.0, 70.0], 5)], axis=1)
    put(face_mesh.RIGHT_BROW, brow)
    put(face_mesh.LEFT_BROW, brow * [-1, 1] + [192, 0])
    put(
        face_mesh.NOSE,
        [(96, 108), (96, 104), (96, 78), (96, 84), (88, 110), (104, 110), (84, 106), (108, 106)],
    )
    put(face_mesh.CHEEKS, [(66, 108), (126, 108), (76, 116), (116, 116)])
    rest = np.setdiff1d(np.arange(478), face_mesh.MOTION_POINTS)
    rest = np.setdiff1d(rest, face_mesh.LEFT_IRIS + face_mesh.RIGHT_IRIS)
    y, x = np.divmod(np.arange(len(rest)), 19)
    put(rest, np.stack([68 + 3.1 * x, 52 + 4.9 * y], axis=1))
    return points.astype(np.float32)


def write_clip(folder, name, frames=40, seed=0, lost=(), starts=None):
    """A cached clip of a waving pattern with random smooth labels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:192, 0:192]
    images = [128 + 60 * np.sin((x + i) / 9) * np.cos(y / 11 + seed) for i in range(frames)]
    np.save(folder / f'{name}.npy', np.stack(images).astype(np.uint8)[..., None].repeat(3, -1))
    pose = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
    points = np.concatenate([fake_points(), np.zeros((478, 1))], axis=1)
    valid = np.ones(frames, bool)
    valid[list(lost)] = False
    np.savez(
        folder / f'{name}.npz',
        blendshapes=rng.random((frames, 52)).astype(np.float32),
        names=np.array(['_neutral', *(f'shape{i}' for i in range(51))]),
        head_pose=pose,
        landmarks_q=(np.tile(points, (frames, 1, 1)) * 16).astype(np.int16),
        valid=valid,
        fps=30.0,
        **({} if starts is None else {'starts': np.array(starts)}),
    )
    placement = {'left': 0, 'top': 0, 'scale': 1.0, 'video': str(folder / f'{name}.mp4')}
    (folder / f'{name}.json').write_text(json.dumps(placement))
    return folder / f'{name}.npy'


def write_labelled_clips(root):
    """Small labelled clips of a moving square in VoxCeleb's layout."""
    for person in ('id10001', 'id10002', 'id10003'):
        video = root / 'dev' / person / 'v' / '00001.avi'
        video.parent.mkdir(parents=True)
        writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 30, (192, 192))
        for i in range(16):
            image = np.full((192, 192, 3), 60, np.uint8)
            image[40 + i : 120 + i, 60:130] = 200
            writer.write(image)
        writer.release()
        points = np.zeros((16, 478, 3), np.float32)
        points[..., :2] = fake_points()
        np.savez(
            video.with_suffix('.npz'),
            blendshapes=np.linspace(0, 1, 16)[:, None].repeat(52, 1).astype(np.float32),
            names=np.array(['_neutral', *(f'shape{i}' for i in range(51))]),
            head_pose=np.tile(np.eye(4, dtype=np.float32), (16, 1, 1)),
            landmarks_q=(points * 16).astype(np.int16),
            valid=np.ones(16, bool),
            fps=30.0,
            size=np.array([192, 192]),
        )
