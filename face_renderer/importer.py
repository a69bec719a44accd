"""Builds the condensed face model from a checkout of ICT-FaceKit.

    git clone https://github.com/ICT-VGL/ICT-FaceKit
    python -m face_renderer.importer ICT-FaceKit --out face_model.npz

Reads the obj files of `FaceXModel/` (ICT Face Model Light, MIT licence) and keeps what the
renderer draws: 13 parts with their texture coordinates, 100 identity shapes, 55 expression shapes
under their ARKit names, landmark and jaw vertices, and the licence text. Shapes are rounded to
0.001 (about 10 um).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.errors import KfImitationError, ModelError

IDENTITIES = 100
SHAPE_UNIT = 1e-3
# Vertex and face ranges of the original mesh (README of ICT-FaceKit); the rest is left out.
PARTS: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    'face': ((0, 9409), (0, 9230)),
    'head_neck': ((9409, 11248), (9230, 11144)),
    'mouth_socket': ((11248, 13294), (11144, 13226)),
    'eye_socket_L': ((13294, 13678), (13226, 13630)),
    'eye_socket_R': ((13678, 14062), (13630, 14034)),
    'gums_tongue': ((14062, 17039), (14034, 17006)),
    'teeth': ((17039, 21451), (17006, 21496)),
    'sclera_L': ((21451, 22221), (21496, 22296)),
    'iris_L': ((22221, 23021), (22296, 23094)),
    'sclera_R': ((23021, 23791), (23094, 23894)),
    'iris_R': ((23791, 24591), (23894, 24692)),
    'lashes_L': ((25351, 26035), (25304, 25844)),
    'lashes_R': ((26035, 26719), (25844, 26384)),
}
VERTEX_COUNT, FACE_COUNT = 26719, 26384
# The extended jaw lines of the README, subject's right and left.
JAW_RIGHT = (
    1280, 1278, 1275, 1272, 1248, 12, 820, 1834, 1902, 243, 844, 781, 1673, 2199, 801, 1447, 800,
)  # fmt: skip
JAW_LEFT = (
    3041, 3661, 3042, 4390, 3880, 3022, 3085, 2484, 4102, 4036, 3061, 2253, 3466, 3490, 3493,
    3496, 3498,
)  # fmt: skip


def arkit_name(name: str) -> str:
    """`eyeBlink_L` to `eyeBlinkLeft`."""
    for short, long in (('_L', 'Left'), ('_R', 'Right')):
        if name.endswith(short):
            return name[: -len(short)] + long
    return name


def _lines(path: Path, key: str) -> list[str]:
    try:
        text = path.read_text(encoding='utf-8', errors='replace')
    except OSError as error:
        raise ModelError(f'{path}: cannot be read ({error.strerror})') from error
    start = key + ' '
    return [line[len(start) :] for line in text.splitlines() if line.startswith(start)]


def read_vertices(path: Path) -> NDArray[np.float64]:
    """(V, 3) positions of an obj file.

    Raises:
        ModelError: unreadable, or not the mesh of ICT-FaceKit.
    """
    rows = _lines(path, 'v')
    try:
        points = np.array([row.split()[:3] for row in rows], np.float64)
    except ValueError as error:
        raise ModelError(f'{path}: a vertex is not three numbers') from error
    if points.shape != (VERTEX_COUNT, 3):
        raise ModelError(f'{path}: {len(rows)} vertices, {VERTEX_COUNT} expected')
    return points


def _read_faces(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Faces and uv faces (F, 4), 0-based, -1 for a missing fourth corner, and uv (n, 2)."""
    uv = np.array([row.split()[:2] for row in _lines(path, 'vt')], np.float32)
    rows = _lines(path, 'f')
    if len(rows) != FACE_COUNT:
        raise ModelError(f'{path}: {len(rows)} faces, {FACE_COUNT} expected')
    faces = np.full((FACE_COUNT, 4), -1, np.int32)
    uv_faces = np.full((FACE_COUNT, 4), -1, np.int32)
    for i, row in enumerate(rows):
        for k, corner in enumerate(row.split()[:4]):
            vertex, coordinate = corner.split('/')[:2]
            faces[i, k] = int(vertex) - 1
            uv_faces[i, k] = int(coordinate) - 1
    return faces, uv_faces, uv


def condense(checkout: Path) -> dict[str, NDArray[np.generic]]:
    """Reads a checkout of ICT-FaceKit.

    Args:
        checkout: its folder (the one with FaceXModel/ in it).

    Returns:
        The arrays of the condensed file, see `face_model.FaceModel.load`.

    Raises:
        ModelError: a file is missing or is not what it should be.
    """
    folder = checkout / 'FaceXModel'
    generic = folder / 'generic_neutral_mesh.obj'
    if not generic.exists():
        raise ModelError(
            f'{checkout}: no FaceXModel/generic_neutral_mesh.obj; '
            'a checkout of ICT-FaceKit is expected'
        )
    about = json.loads((folder / 'vertex_indices.json').read_text(encoding='utf-8'))
    mean = read_vertices(generic)
    faces, uv_faces, uv = _read_faces(generic)
    keep = np.concatenate([np.arange(*vertices) for vertices, _ in PARTS.values()])
    renumber = np.full(VERTEX_COUNT, -1, np.int32)
    renumber[keep] = np.arange(len(keep))
    kept = np.concatenate([np.arange(*faces_) for _, faces_ in PARTS.values()])
    faces, uv_faces = faces[kept], uv_faces[kept]
    faces = np.where(faces >= 0, renumber[faces], -1).astype(np.int32)
    used = np.unique(uv_faces[uv_faces >= 0])
    uv_number = np.full(len(uv), -1, np.int32)
    uv_number[used] = np.arange(len(used))
    uv_faces = np.where(uv_faces >= 0, uv_number[uv_faces], -1).astype(np.int32)

    def shape(name: str) -> NDArray[np.int16]:
        shift = (read_vertices(folder / f'{name}.obj') - mean)[keep] / SHAPE_UNIT
        return np.round(shift).astype(np.int16)

    names = [*sorted(about['expressions'], key=str.lower), 'PupilDilate_L', 'PupilDilate_R']
    vertex_range, face_range, v, f = [], [], 0, 0
    for (v0, v1), (f0, f1) in PARTS.values():
        vertex_range.append((v, v + v1 - v0))
        face_range.append((f, f + f1 - f0))
        v, f = v + v1 - v0, f + f1 - f0
    return {
        'neutral': mean[keep].astype(np.float32),
        'faces': faces.astype(np.int16),
        'uv': uv[used],
        'uv_faces': uv_faces.astype(np.int16),
        'part_names': np.array(list(PARTS)),
        'part_vertex_range': np.array(vertex_range, np.int32),
        'part_face_range': np.array(face_range, np.int32),
        'expression_names': np.array([arkit_name(n) for n in names]),
        'landmarks68': renumber[np.array(about['idx_to_landmark_verts'])],
        'jaw_right': renumber[np.array(JAW_RIGHT)],
        'jaw_left': renumber[np.array(JAW_LEFT)],
        'rigid': renumber[np.array(about['idx_to_rigid_verts'])],
        'source_vertex': keep.astype(np.int32),
        'license': np.array((checkout / 'LICENSE').read_text(encoding='utf-8')),
        'identity_um10': np.stack([shape(f'identity{i:03d}') for i in range(IDENTITIES)]),
        'expression_um10': np.stack([shape(n) for n in names]),
    }


def main(arguments: list[str] | None = None) -> int:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog='python -m face_renderer.importer', description=(__doc__ or '').split('\n')[0]
    )
    parser.add_argument('checkout', type=Path, help='folder of the ICT-FaceKit checkout')
    parser.add_argument('--out', type=Path, required=True, help='the .npz file to write')
    options = parser.parse_args(arguments)
    try:
        arrays = condense(options.checkout)
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **arrays)
    size_mb = options.out.stat().st_size / 1e6
    print(f'{options.out}: {len(arrays["neutral"])} vertices, {size_mb:.1f} MB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
