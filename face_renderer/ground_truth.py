"""Exact labels of a rendered face: 98 landmarks, where they are seen, coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from face_renderer.appearance import Atlas, Style, unroll
from face_renderer.face_model import FaceModel
from kf_imitation.data_types import BLENDSHAPES

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

JAW_STEPS = 37
# The 52 names of the real clips' labels, in their order.
BLENDSHAPE_NAMES = ['_neutral', *BLENDSHAPES]


def to_blendshapes(weights: F32, model: FaceModel) -> F32:
    """(…, 55) weights of the model to (…, 52) coefficients in the label order, clipped to 0..1."""
    out = np.zeros((*weights.shape[:-1], len(BLENDSHAPE_NAMES)), np.float32)
    for i, name in enumerate(BLENDSHAPE_NAMES):
        if name in model.index:
            out[..., i] = weights[..., model.index[name]]
        elif name + 'Left' in model.index:
            out[..., i] = (
                weights[..., model.index[name + 'Left']]
                + weights[..., model.index[name + 'Right']]
            ) / 2
    return np.clip(out, 0, 1)


def _along(
    path: list[int], model: FaceModel, shares: list[float]
) -> list[tuple[list[int], list[float]]]:
    points = model.neutral[path]
    arc = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    found = []
    for share in shares:
        k = int(np.clip(np.searchsorted(arc, share * arc[-1]) - 1, 0, len(path) - 2))
        t = float((share * arc[-1] - arc[k]) / (arc[k + 1] - arc[k]))
        found.append(([path[k], path[k + 1], path[k]], [1 - t, t, 0.0]))
    return found


@dataclass
class LandmarkRig:
    """Where the 98 landmarks sit on the mesh, for one style (its brows move five of each).

    Attributes:
        vertices: (98, 3) vertex indices; jaw and pupil rows are not used.
        weights: (98, 3).
        jaw_vertices: (33, JAW_STEPS, 3) paths from the jaw forwards over the cheek.
        jaw_weights: (33, JAW_STEPS, 3).
        jaw_outward: (33, 2) unit direction (x right, y up) that points out of the frontal face.
    """

    vertices: I32
    weights: F32
    jaw_vertices: I32
    jaw_weights: F32
    jaw_outward: F32


def jaw_paths(atlas: Atlas) -> tuple[I32, F32, F32]:
    """Paths on which the visible contour is searched, see LandmarkRig."""
    model = atlas.model
    chain = model.neutral[model.jaw]
    arc = np.r_[0, np.cumsum(np.linalg.norm(np.diff(chain, axis=0), axis=1))]
    at = np.linspace(0, arc[-1], 33)
    points = np.stack([np.interp(at, arc, chain[:, k]) for k in range(3)], 1)
    start = unroll(points)
    target = np.stack(
        [
            np.zeros(33),
            np.where(start[:, 1] > -3.0, start[:, 1], -3.0 + 0.6 * (start[:, 1] + 3.0)),
        ],
        1,
    )
    # At the side of the eye the path ends before the eye does.
    end = np.where(start[:, 1] > 1.0, 1 - 5.2 / np.maximum(np.abs(start[:, 0]), 5.2), 0.9)
    shares = (np.linspace(0, 1, JAW_STEPS)[None, :] * end[:, None])[..., None]
    grid = start[:, None] * (1 - shares) + target[:, None] * shares
    vertices, weights = atlas.on_mesh(grid.reshape(-1, 2).astype(np.float32))
    outward = points[:, :2] - np.array([0.0, 1.0])
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    return (
        vertices.reshape(33, JAW_STEPS, 3),
        weights.reshape(33, JAW_STEPS, 3).astype(np.float32),
        outward.astype(np.float32),
    )


def landmark_rig(atlas: Atlas, style: Style) -> LandmarkRig:
    """Places the WFLW-98 landmarks on the mesh."""
    model = atlas.model
    vertices = np.zeros((98, 3), np.int32)
    weights = np.zeros((98, 3), np.float32)
    weights[:, 0] = 1
    vertices[51:60] = model.landmarks68[27:36, None]
    vertices[76:96] = model.landmarks68[48:68, None]
    quarter = [0.0, 0.25, 0.5, 0.75, 1.0]
    right_upper, right_lower = model.lid_loops['Right']
    left_upper, left_lower = model.lid_loops['Left']
    eyes = (
        _along(right_upper, model, quarter)
        + _along(right_lower, model, quarter)[3:0:-1]
        + _along(left_upper, model, quarter)[::-1]
        + _along(left_lower, model, quarter)[1:4]
    )
    for row, (vertex, weight) in zip(range(60, 76), eyes, strict=True):
        vertices[row], weights[row] = vertex, weight
    brows = [*style.brow_curves['Right'], *style.brow_curves['Left']]
    vertices[33:51], weights[33:51] = atlas.on_mesh(np.vstack(brows).astype(np.float32))
    cached = atlas.__dict__.setdefault('jaw_paths', None) or jaw_paths(atlas)
    atlas.__dict__['jaw_paths'] = cached
    return LandmarkRig(vertices, weights, *cached)


def landmarks3(rig: LandmarkRig, points: F32, pupils: F32, project, roll: float) -> F32:  # type: ignore[no-untyped-def]
    """(98, 3) landmark places in the space of `points`.

    Args:
        rig: where they sit.
        points: (V, 3) posed vertices, camera space.
        pupils: (2, 3) right and left pupil, camera space.
        project: (n, 3) to (n, 2) pixels, y down.
        roll: turn of the head in the picture [rad], counter-clockwise as seen.
    """
    out = (points[rig.vertices] * rig.weights[..., None]).sum(1)
    paths = (points[rig.jaw_vertices] * rig.jaw_weights[..., None]).sum(2)
    flat = project(paths.reshape(-1, 3)).reshape(33, JAW_STEPS, 2)
    c, s = np.cos(roll), np.sin(roll)
    turned = rig.jaw_outward @ np.array([[c, s], [-s, c]], np.float32)
    reach = flat[..., 0] * turned[:, None, 0] - flat[..., 1] * turned[:, None, 1]
    best = reach.argmax(1)
    out[:33] = paths[np.arange(33), best]
    out[96:98] = pupils
    return out.astype(np.float32)
