"""The meshes of the URDFs: a ball and its upper half, as binary STL.

`python -m kf_imitation.robot.meshes urdf/meshes` writes them.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_AROUND, _UP = 32, 16
Triangles = NDArray[np.float32]


def ball(lowest: float = -np.pi / 2) -> Triangles:
    """Return a sphere of radius 1 from a latitude up.

    Args:
        lowest: latitude at which it begins [rad].

    Returns:
        (N, 3, 3) float32 corners, counter-clockwise from outside.
    """
    latitude = np.linspace(lowest, np.pi / 2, _UP + 1)
    longitude = np.linspace(0, 2 * np.pi, _AROUND + 1)
    up, around = np.meshgrid(latitude, longitude, indexing='ij')
    grid = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1)
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


MESHES = {'ball.stl': ball(), 'cap.stl': ball(0.0)}


if __name__ == '__main__':
    for name, mesh in MESHES.items():
        (Path(sys.argv[1]) / name).write_bytes(stl(mesh))
