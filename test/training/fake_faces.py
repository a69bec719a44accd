"""A hand-made face mesh for tests: ellipses where the teacher has lips, lids and outline."""

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
