"""The mean face of the 98 points (models/mean_face.yaml), and faces turned to the front by it.

Metres; x to the person's left, y down, z out of the back of the head; the origin is the middle of
the four eye corners.
"""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.model_files import load_table

_TEMPLATE_DISTANCE_M = 0.35

# (98, 3).
MEAN_FACE_M: NDArray[np.float64] = np.array(load_table('mean_face')['points_m'], np.float64)


# Distance of the outer eye corners.
EYE_SPAN_M = float(np.linalg.norm(MEAN_FACE_M[60] - MEAN_FACE_M[72]))


def turn_to_front(
    points_px: NDArray[np.floating],
    rotation: NDArray[np.floating],
    translation_m: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Take the head pose out of landmarks: each goes along its ray to the mean face's depth.

    The camera need not be known: the pose says where the mean face would be seen, and the pixels
    are that times the focal length plus the principal point (least squares).

    Args:
        points_px: (98, 2).
        rotation: (3, 3), head to camera.
        translation_m: (3,).

    Returns:
        (98, 2) in units of the mean face's eye distance, x to the person's left, y down.
    """
    turn = rotation.astype(np.float64)
    shift = translation_m.astype(np.float64)
    pixels = points_px.astype(np.float64)
    seen = MEAN_FACE_M @ turn.T + shift
    ideal = seen[:, :2] / seen[:, 2:]
    spread = ideal - ideal.mean(axis=0)
    focal = float((spread * (pixels - pixels.mean(axis=0))).sum() / (spread**2).sum())
    centre = pixels.mean(axis=0) - focal * ideal.mean(axis=0)
    rays = np.column_stack([(pixels - centre) / focal, np.ones(len(pixels))]) @ turn
    origin = -shift @ turn
    along = (MEAN_FACE_M[:, 2] - origin[2]) / rays[:, 2]
    return np.asarray((origin + rays * along[:, None])[:, :2] / EYE_SPAN_M)


def template() -> NDArray[np.float32]:
    """The face straight ahead, where the landmark model likes it in its crop.

    Returns:
        (98, 2) float32 in crop edges: box centred at (0.5, 0.5), longer side 0.80.
    """
    away = MEAN_FACE_M[:, 2:] + _TEMPLATE_DISTANCE_M
    flat = MEAN_FACE_M[:, :2] / away
    low, high = flat.min(axis=0), flat.max(axis=0)
    return np.asarray((flat - (low + high) / 2) / (high - low).max() * 0.80 + 0.5, np.float32)
