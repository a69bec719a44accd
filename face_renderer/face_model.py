"""The morphable face: identities, ARKit expressions, eyes that turn, lids that close.

The geometry is the ICT Face Model Light (MIT licence), condensed to one .npz file that lives
outside the repository (`importer.py` builds it). Units are about centimetres; x points to the
subject's left (the right of an unmirrored image), y up, z out of the face.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.errors import ModelError

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

DEFAULT_PATH = Path('../shared/data/faces/ict_facekit.npz')
PATH_VARIABLE = 'KF_FACE_MODEL'
GAZE_YAW_RAD = np.deg2rad(35.0)
GAZE_PITCH_RAD = np.deg2rad(25.0)
SHAPE_UNIT = 1e-3
SIDES = ('Left', 'Right')

# The iris meshes are not drawn: the sclera part has a cornea shell, which carries the iris.
SKIPPED_PARTS = ('iris_L', 'iris_R')
MATERIALS = {
    'face': 0,
    'head_neck': 1,
    'sclera_L': 2,
    'sclera_R': 2,
    'mouth_socket': 3,
    'eye_socket_L': 4,
    'eye_socket_R': 4,
    'gums_tongue': 5,
    'teeth': 6,
    'lashes_L': 7,
    'lashes_R': 7,
}
TORSO, HAIR, GLASSES, HAND = 8, 9, 10, 11
MATERIAL_COUNT = 12


def default_path() -> Path:
    """Where the face model is looked for: $KF_FACE_MODEL, else `../shared/data/faces`."""
    value = os.environ.get(PATH_VARIABLE)
    if value:
        return Path(value)
    next_to_repository = Path(__file__).resolve().parents[1] / DEFAULT_PATH
    return next_to_repository if next_to_repository.exists() else DEFAULT_PATH


@dataclass
class FaceModel:
    """The mean face, its shapes and its topology.

    Attributes:
        neutral: (V, 3) float32 mean face [about cm].
        identity: (100, V, 3) float32 displacement per unit of identity coefficient.
        expression: (55, V, 3) float32 displacement per unit of expression coefficient.
        expression_names: the 55 names, ARKit style.
        triangles: (T, 3) int32 drawn triangles, counter-clockwise seen from outside.
        triangle_uv: (T, 3, 2) float32 texture coordinates per corner.
        triangle_material: (T,) int32, see MATERIALS.
        part_vertices: vertex range of each part.
        landmarks68: (68,) iBUG landmark vertices.
        jaw: (33,) jaw vertices from the subject's right ear over the chin to the left ear.
    """

    neutral: F32
    identity: F32
    expression: F32
    expression_names: list[str]
    triangles: I32
    triangle_uv: F32
    triangle_material: I32
    part_vertices: dict[str, slice]
    landmarks68: I32
    jaw: list[int]
    index: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.index = {name: i for i, name in enumerate(self.expression_names)}

    @staticmethod
    def load(path: Path | str | None = None) -> FaceModel:
        """Reads the condensed face model.

        Args:
            path: the .npz file; None takes `default_path()`.

        Raises:
            ModelError: the file is absent or is not the condensed face model.
        """
        file = Path(path) if path is not None else default_path()
        if not file.exists():
            raise ModelError(
                f'{file}: no face model there. Build it from a checkout of ICT-FaceKit '
                f'(`python -m face_renderer.importer CHECKOUT --out {file}`) '
                f'or name another file in ${PATH_VARIABLE}.'
            )
        with np.load(file, allow_pickle=False) as data:
            missing = {
                'neutral',
                'faces',
                'uv',
                'uv_faces',
                'identity_um10',
                'expression_um10',
            } - set(data.files)
            if missing:
                raise ModelError(f'{file}: not a condensed face model, lacks {sorted(missing)}')
            names = [str(n) for n in data['part_names']]
            vertex_range, face_range = data['part_vertex_range'], data['part_face_range']
            corners, uvs, materials = [], [], []
            for name, (first, last) in zip(names, face_range, strict=True):
                if name in SKIPPED_PARTS:
                    continue
                faces, uv_faces = data['faces'][first:last], data['uv_faces'][first:last]
                quad = faces[:, 3] >= 0
                for pick, rows in (((0, 1, 2), slice(None)), ((0, 2, 3), quad)):
                    corners.append(faces[rows][:, pick])
                    uvs.append(uv_faces[rows][:, pick])
                    materials.append(np.full(len(corners[-1]), MATERIALS[name]))
            left, right = data['jaw_left'], data['jaw_right']
            return FaceModel(
                neutral=data['neutral'].astype(np.float32),
                identity=data['identity_um10'].astype(np.float32) * np.float32(SHAPE_UNIT),
                expression=data['expression_um10'].astype(np.float32) * np.float32(SHAPE_UNIT),
                expression_names=[str(n) for n in data['expression_names']],
                triangles=np.concatenate(corners).astype(np.int32),
                triangle_uv=data['uv'][np.concatenate(uvs)].astype(np.float32),
                triangle_material=np.concatenate(materials).astype(np.int32),
                part_vertices={
                    n: slice(int(a), int(b)) for n, (a, b) in zip(names, vertex_range, strict=True)
                },
                landmarks68=data['landmarks68'].astype(np.int32),
                jaw=[int(v) for v in right]
                + [int(data['landmarks68'][8])]
                + [int(v) for v in left],
            )

    @cached_property
    def lid_loops(self) -> dict[str, tuple[list[int], list[int]]]:
        """Upper and lower lid edge of each eye, both from the outer to the inner corner."""
        corners = {
            'Right': ((36, 37, 38, 39), (36, 41, 40, 39)),
            'Left': ((45, 44, 43, 42), (45, 46, 47, 42)),
        }
        return {
            side: (
                self.edge_path([int(self.landmarks68[i]) for i in upper]),
                self.edge_path([int(self.landmarks68[i]) for i in lower]),
            )
            for side, (upper, lower) in corners.items()
        }

    def edge_path(self, stops: list[int]) -> list[int]:
        """Vertices of the shortest way along the edges of the face through the given vertices."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import dijkstra

        face = self.triangles[self.triangle_material == MATERIALS['face']]
        count = self.part_vertices['face'].stop
        near = np.linalg.norm(self.neutral[:count] - self.neutral[stops].mean(0), axis=1) < 4.0
        edges = np.concatenate([face[:, [0, 1]], face[:, [1, 2]], face[:, [2, 0]]])
        edges = np.unique(np.sort(edges[near[edges].all(1)], axis=1), axis=0)
        length = np.linalg.norm(self.neutral[edges[:, 0]] - self.neutral[edges[:, 1]], axis=1)
        graph = coo_matrix((length, (edges[:, 0], edges[:, 1])), shape=(count, count)).tocsr()
        path = [stops[0]]
        for start, end in itertools.pairwise(stops):
            _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
            leg = [end]
            while leg[-1] != start:
                leg.append(int(before[leg[-1]]))
            path += leg[-2::-1]
        return path


@dataclass(frozen=True)
class Eye:
    """One eyeball of one person: its centre, optical axis (unit vector) and radius to the apex."""

    centre: F32
    axis: F32
    apex: float
    vertices: slice


def _fit_sphere(points: F32) -> tuple[F32, float]:
    for _ in range(4):
        system = np.c_[2 * points, np.ones(len(points))]
        solution, *_ = np.linalg.lstsq(system, (points**2).sum(1), rcond=None)
        centre = solution[:3].astype(np.float32)
        radius = float(np.sqrt(max(solution[3] + (centre**2).sum(), 1e-6)))
        error = np.linalg.norm(points - centre, axis=1) - radius
        keep = np.abs(error) <= max(0.03, float(np.quantile(np.abs(error), 0.8)))
        points = points[keep]
    return centre, radius


class Person:
    """One identity: a neutral face that takes an expression.

    Args:
        model: the face model.
        coefficients: (100,) identity coefficients; zeros are the mean face.
    """

    def __init__(self, model: FaceModel, coefficients: F32) -> None:
        self.model = model
        self.coefficients = np.asarray(coefficients, np.float32)
        shift = np.tensordot(self.coefficients, model.identity, axes=1)
        self.neutral: F32 = (model.neutral + shift).astype(np.float32)
        self.eyes: dict[str, Eye] = {}
        for side in SIDES:
            rows = model.part_vertices[f'sclera_{side[0]}']
            points = self.neutral[rows]
            centre, radius = _fit_sphere(points)
            reach = np.linalg.norm(points - centre, axis=1)
            bulge = (reach > radius + 0.05) & (points[:, 2] > centre[2])
            if bulge.sum() < 8:
                bulge = points[:, 2] > centre[2] + 0.9 * radius
            axis = (points[bulge] - centre).mean(0)
            axis[0] *= 0.2  # the mesh squints outwards; people look at what is in front of them
            axis /= np.linalg.norm(axis)
            self.eyes[side] = Eye(centre, axis.astype(np.float32), float(reach[bulge].max()), rows)
        self._lid_rows = {
            side: (self._middle(upper), self._middle(lower))
            for side, (upper, lower) in model.lid_loops.items()
        }

    def _middle(self, lid: list[int]) -> F32:
        """Rows of weights that read three points of the middle of a lid."""
        points = self.neutral[lid]
        arc = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
        picks = [lid[int(np.argmin(np.abs(arc / arc[-1] - at)))] for at in (0.4, 0.5, 0.6)]
        return np.asarray(picks)

    def lid_gap(self, vertices: F32, side: str) -> float:
        """Mean height of the lid opening in its middle [cm], from (V, 3) vertices."""
        upper, lower = self._lid_rows[side]
        return float((vertices[upper, 1] - vertices[lower, 1]).mean())

    def deform(self, weights: F32) -> F32:
        """The face with an expression, in head coordinates.

        Args:
            weights: (55,) ARKit coefficients in the model's order. Gaze comes from eyeLook*,
                eyeBlink 1 closes this person's eye whatever else is set.

        Returns:
            (V, 3) float32 vertices.
        """
        model = self.model
        weights = np.asarray(weights, np.float32).copy()
        blink = {side: weights[model.index[f'eyeBlink{side}']] for side in SIDES}
        for side in SIDES:
            weights[model.index[f'eyeBlink{side}']] = 0
        active = np.flatnonzero(np.abs(weights) > 1e-6)
        flat = model.expression.reshape(len(model.expression), -1)
        moved = self.neutral.copy()
        if len(active):
            moved += (weights[active] @ flat[active]).reshape(-1, 3)
        for side in SIDES:
            if blink[side] <= 1e-6:
                continue
            row = model.index[f'eyeBlink{side}']
            upper, lower = self._lid_rows[side]
            shape = model.expression[row]
            per_unit = float((shape[upper, 1] - shape[lower, 1]).mean())
            gain = np.clip(self.lid_gap(moved, side) / max(-per_unit, 0.1), 0.5, 1.6)
            moved += np.float32(blink[side] * gain) * shape
        for side in SIDES:
            yaw, pitch = self.gaze(weights, side)
            eye = self.eyes[side]
            rotation = _gaze_rotation(yaw, pitch)
            moved[eye.vertices] = (
                self.neutral[eye.vertices] - eye.centre
            ) @ rotation.T + eye.centre
        return moved

    def gaze(self, weights: F32, side: str) -> tuple[float, float]:
        """Turn of one eye [rad]: yaw to the subject's left, pitch up."""
        get = {
            n: float(weights[self.model.index[f'eyeLook{n}{side}']])
            for n in ('In', 'Out', 'Up', 'Down')
        }
        sign = 1.0 if side == 'Left' else -1.0
        return (
            sign * (get['Out'] - get['In']) * float(GAZE_YAW_RAD),
            (get['Up'] - get['Down']) * float(GAZE_PITCH_RAD),
        )

    def pupil(self, weights: F32, side: str) -> F32:
        """(3,) where the optical axis leaves the eye, for these weights [cm]."""
        eye = self.eyes[side]
        turned = _gaze_rotation(*self.gaze(weights, side)) @ eye.axis
        return (eye.centre + turned * (eye.apex - 0.12)).astype(np.float32)


def _gaze_rotation(yaw: float, pitch: float) -> F32:
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    # Up is a negative turn about x, which points to the subject's left.
    return (about_y @ about_x.T).astype(np.float32)
