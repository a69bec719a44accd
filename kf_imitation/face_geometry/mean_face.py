"""The mean face of the 98 points, measured by training/landmarks/fit/mean_face.py on the train clips.

Metres; x to the person's left, y down, z out of the back of the head; the origin is the middle of
the four eye corners.
"""

import numpy as np
from numpy.typing import NDArray

_POINTS_M = (
    (-0.0810, -0.0010, 0.0387),
    (-0.0815, 0.0091, 0.0417),
    (-0.0816, 0.0195, 0.0439),
    (-0.0810, 0.0300, 0.0448),
    (-0.0796, 0.0406, 0.0451),
    (-0.0778, 0.0513, 0.0450),
    (-0.0748, 0.0617, 0.0436),
    (-0.0717, 0.0717, 0.0420),
    (-0.0661, 0.0807, 0.0372),
    (-0.0597, 0.0887, 0.0314),
    (-0.0521, 0.0951, 0.0242),
    (-0.0438, 0.1002, 0.0175),
    (-0.0353, 0.1044, 0.0109),
    (-0.0266, 0.1077, 0.0044),
    (-0.0178, 0.1101, -0.0006),
    (-0.0089, 0.1115, -0.0035),
    (0.0000, 0.1118, -0.0051),
    (0.0089, 0.1115, -0.0035),
    (0.0178, 0.1101, -0.0006),
    (0.0266, 0.1077, 0.0044),
    (0.0353, 0.1044, 0.0109),
    (0.0438, 0.1002, 0.0175),
    (0.0521, 0.0951, 0.0242),
    (0.0597, 0.0887, 0.0314),
    (0.0661, 0.0807, 0.0372),
    (0.0717, 0.0717, 0.0420),
    (0.0748, 0.0617, 0.0436),
    (0.0778, 0.0513, 0.0450),
    (0.0796, 0.0406, 0.0451),
    (0.0810, 0.0300, 0.0448),
    (0.0816, 0.0195, 0.0439),
    (0.0815, 0.0091, 0.0417),
    (0.0810, -0.0010, 0.0387),
    (-0.0571, -0.0163, 0.0017),
    (-0.0497, -0.0207, -0.0051),
    (-0.0399, -0.0229, -0.0100),
    (-0.0276, -0.0219, -0.0136),
    (-0.0138, -0.0197, -0.0154),
    (-0.0121, -0.0122, -0.0133),
    (-0.0267, -0.0167, -0.0123),
    (-0.0377, -0.0178, -0.0099),
    (-0.0462, -0.0163, -0.0065),
    (0.0138, -0.0197, -0.0154),
    (0.0276, -0.0219, -0.0136),
    (0.0399, -0.0229, -0.0100),
    (0.0497, -0.0207, -0.0051),
    (0.0571, -0.0163, 0.0017),
    (0.0462, -0.0163, -0.0065),
    (0.0377, -0.0178, -0.0099),
    (0.0267, -0.0167, -0.0123),
    (0.0121, -0.0122, -0.0133),
    (0.0000, 0.0043, -0.0144),
    (0.0000, 0.0109, -0.0174),
    (0.0000, 0.0226, -0.0231),
    (0.0000, 0.0354, -0.0248),
    (-0.0155, 0.0407, -0.0100),
    (-0.0073, 0.0419, -0.0147),
    (0.0000, 0.0421, -0.0162),
    (0.0073, 0.0419, -0.0147),
    (0.0155, 0.0407, -0.0100),
    (-0.0434, -0.0006, 0.0011),
    (-0.0372, -0.0034, -0.0014),
    (-0.0308, -0.0044, -0.0016),
    (-0.0236, -0.0034, -0.0009),
    (-0.0169, 0.0006, -0.0011),
    (-0.0239, 0.0016, -0.0007),
    (-0.0310, 0.0026, -0.0011),
    (-0.0372, 0.0021, -0.0006),
    (0.0169, 0.0006, -0.0011),
    (0.0236, -0.0034, -0.0009),
    (0.0308, -0.0044, -0.0016),
    (0.0372, -0.0034, -0.0014),
    (0.0434, -0.0006, 0.0011),
    (0.0372, 0.0021, -0.0006),
    (0.0310, 0.0026, -0.0011),
    (0.0239, 0.0016, -0.0007),
    (-0.0247, 0.0662, -0.0023),
    (-0.0167, 0.0587, -0.0101),
    (-0.0072, 0.0549, -0.0148),
    (0.0000, 0.0560, -0.0159),
    (0.0072, 0.0549, -0.0148),
    (0.0167, 0.0587, -0.0101),
    (0.0247, 0.0662, -0.0023),
    (0.0167, 0.0743, -0.0086),
    (0.0076, 0.0779, -0.0129),
    (0.0000, 0.0785, -0.0142),
    (-0.0076, 0.0779, -0.0129),
    (-0.0167, 0.0743, -0.0086),
    (-0.0222, 0.0661, -0.0025),
    (-0.0059, 0.0617, -0.0120),
    (0.0000, 0.0617, -0.0134),
    (0.0059, 0.0617, -0.0120),
    (0.0222, 0.0661, -0.0025),
    (0.0060, 0.0689, -0.0110),
    (0.0000, 0.0692, -0.0123),
    (-0.0060, 0.0689, -0.0110),
    (-0.0310, -0.0013, -0.0014),
    (0.0310, -0.0013, -0.0014),
)

# From how far the template looks at the face.
_TEMPLATE_DISTANCE_M = 0.35

MEAN_FACE_M: NDArray[np.float64] = np.array(_POINTS_M, np.float64)


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
