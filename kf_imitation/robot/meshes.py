"""The meshes of the URDFs, as binary STL: `python -m kf_imitation.robot.meshes urdf/meshes`.

All are about 1 in radius and stretched where they are used.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_AROUND, _UP = 32, 16
# The head is a rounded box rather than an egg: exponent of its superellipsoid, 2 for a ball.
_BOX = 2.4
# Where the jaw is cut from the head, and where the crown begins, in half heights.
MOUTH_CUT, CROWN_CUT = -0.62, 0.62
Triangles = NDArray[np.float32]


def ball(
    lowest: float = -1.0, highest: float = 1.0, power: float = 2.0, rows: int = _UP
) -> Triangles:
    """Return the part of a superellipsoid of radius 1 between two heights, its cuts closed.

    Args:
        lowest: height where it begins, -1..1.
        highest: height where it ends, -1..1.
        power: exponent; 2 for a sphere, more for a rounded box.
        rows: from bottom to top.

    Returns:
        (N, 3, 3) float32 corners, counter-clockwise from outside.
    """
    latitude = np.linspace(
        np.arcsin(_of_ball(lowest, power)), np.arcsin(_of_ball(highest, power)), rows + 1
    )
    longitude = np.linspace(0, 2 * np.pi, _AROUND + 1)
    up, around = np.meshgrid(latitude, longitude, indexing='ij')
    direction = np.stack(
        [np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1
    )
    length = (np.abs(direction) ** power).sum(axis=-1, keepdims=True) ** (1 / power)
    grid = direction / length
    for cut, end in ((lowest, 0), (highest, -1)):
        if abs(cut) < 1:
            disc = np.broadcast_to([0.0, 0.0, cut], grid[:1].shape)
            grid = np.concatenate([disc, grid] if end == 0 else [grid, disc])
    return _skin(grid)


def _of_ball(height: float, power: float) -> float:
    """Return the sine of the latitude at which a superellipsoid has a height, in its xz plane."""
    if abs(height) >= 1:
        return height
    x = (1 - abs(height) ** power) ** (1 / power)
    return height / float(np.hypot(height, x))


def ring(thickness: float = 0.075) -> Triangles:
    """Return the front half of a thin ring of radius 1 in the xy plane."""
    along = np.linspace(-np.pi / 2, np.pi / 2, 17)
    about = np.linspace(0, 2 * np.pi, 7)
    angle, turn = np.meshgrid(along, about, indexing='ij')
    radius = 1 + thickness * np.cos(turn)
    return _skin(
        np.stack([radius * np.cos(angle), radius * np.sin(angle), thickness * np.sin(turn)], -1)
    )[:, ::-1]


def _skin(grid: NDArray[np.float64]) -> Triangles:
    """Return the triangles between the points of a grid, (rows, columns, 3)."""
    low_left, low_right = grid[:-1, :-1], grid[:-1, 1:]
    high_left, high_right = grid[1:, :-1], grid[1:, 1:]
    both = np.stack(
        [
            np.stack([low_left, low_right, high_right], -2),
            np.stack([low_left, high_right, high_left], -2),
        ]
    ).reshape(-1, 3, 3)
    area = np.linalg.norm(np.cross(both[:, 1] - both[:, 0], both[:, 2] - both[:, 0]), axis=1)
    triangles: Triangles = both[area > 1e-9].astype(np.float32)  # none at the poles
    return triangles


def stl(triangles: Triangles) -> bytes:
    """Return a binary STL file."""
    record = np.dtype([('normal', '<f4', 3), ('corners', '<f4', (3, 3)), ('spare', '<u2')])
    rows = np.zeros(len(triangles), record)
    rows['corners'] = triangles
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    rows['normal'] = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    count = len(rows).to_bytes(4, 'little')
    return b'kf_imitation'.ljust(80, b' ') + count + bytes(rows.tobytes())


MESHES = {
    'ball.stl': ball(),
    'cap.stl': ball(0.0, rows=8),
    'skull.stl': ball(MOUTH_CUT, 1.0, _BOX),
    'jaw.stl': ball(-1.0, MOUTH_CUT, _BOX, rows=8),
    'crown.stl': ball(CROWN_CUT, 1.0, _BOX, rows=8),
    'lash.stl': ring(),
}


if __name__ == '__main__':
    for name, mesh in MESHES.items():
        (Path(sys.argv[1]) / name).write_bytes(stl(mesh))
