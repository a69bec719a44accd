"""What lips show when they part: teeth that belong to skull and jaw, and the dark behind them.

A photograph with a closed mouth does not hold it, so it is painted. Lips that move over resting
teeth and a jaw that takes its teeth along distinguish a smile from a dropped jaw.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from kf_imitation.inference import similarity
from training.data.face_mesh import CHEEKS, INNER_LIPS, RIGID, eye_distance
from training.landmarks.train.data import apply

# From the right corner of the mouth to the left.
UPPER = INNER_LIPS[:11]
LOWER = [INNER_LIPS[0], *INNER_LIPS[:9:-1]]
CHIN = 152
SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class MouthAppearance:
    """Of one person in one light.

    Attributes:
        colour: (3,) BGR of tongue and cheeks.
        teeth: (3,) BGR.
        upper: how far the upper teeth reach below the line of the closed lips, eye distances.
        lower: how far the lower teeth reach above it.
        tooth: width of one, eye distances.
        depth: fraction of the light that the back of the mouth loses.
    """

    colour: np.ndarray
    teeth: np.ndarray
    upper: float
    lower: float
    tooth: float
    depth: float


def draw_mouth(rng: np.random.Generator, image: np.ndarray, points: np.ndarray) -> MouthAppearance:
    """Draw the mouth of somebody, in the light in which the face is seen.

    Args:
        rng: source of chance.
        image: (S, S, 3) uint8 BGR.
        points: (478, 3) landmarks [px].
    """
    column, row = np.clip(points[CHEEKS, :2].round().astype(int), 0, len(image) - 1).T
    skin = np.median(image[row, column].astype(np.float64), axis=0)
    grey = skin.mean()
    # White seen in this light, of which skin itself takes most of the blue.
    white = grey * np.array([0.9, 1.0, 1.05]) * rng.uniform(0.94, 1.06, 3)
    return MouthAppearance(
        colour=rng.uniform(0.1, 0.35) * (0.5 * skin + 0.5 * grey * np.array([0.7, 0.7, 1.4])),
        teeth=np.minimum(rng.uniform(0.65, 1.3) * (0.3 * skin + 0.7 * white), 240),
        # Some people hide one of the rows.
        upper=rng.normal(0.015, 0.025),
        lower=rng.normal(-0.02, 0.03),
        tooth=rng.uniform(0.05, 0.09),
        depth=rng.uniform(0.2, 0.8),
    )


def lip_gap(points: np.ndarray) -> float:
    """Return the distance between the inner lips of (478, 3) points, in eye distances."""
    return float(np.linalg.norm(points[13] - points[14])) / eye_distance(points)


def paint_mouth(
    image: np.ndarray, first: np.ndarray, points: np.ndarray, appearance: MouthAppearance
) -> np.ndarray:
    """Paint the inside of the mouth between the lips, where they part more than at first.

    Args:
        image: (S, S, 3) uint8 BGR.
        first: (478, 3) landmarks of the photograph [px].
        points: (478, 3) landmarks as drawn [px].
        appearance: of the mouth.

    Returns:
        (S, S, 3) uint8.
    """
    gap = lip_gap(first)
    # Lips that are parted in the photograph have something between them already.
    closed = np.clip(1 - gap / 0.04, 0, 1)
    strength = float(closed * np.clip((lip_gap(points) - gap - 0.01) / 0.06, 0, 1))
    if strength <= 0:
        return image
    alpha = strength * cv2.GaussianBlur(filled(image.shape, points[INNER_LIPS]), (0, 0), 0.8)
    inside = _inside(image.shape, first, points, appearance)
    return (image * (1 - alpha[..., None]) + inside * alpha[..., None]).astype(np.uint8)


def _inside(
    shape: tuple[int, ...], first: np.ndarray, points: np.ndarray, appearance: MouthAppearance
) -> np.ndarray:
    """(S, S, 3) float: teeth and what is behind them, as if there were no lips."""
    unit = eye_distance(points)
    skull = similarity(first[RIGID, :2], points[RIGID, :2])
    line = apply(skull, (first[UPPER, :2] + first[LOWER, :2]) / 2)
    jaw = points[CHIN, :2] - apply(skull, first[CHIN, :2])
    along = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
    down = np.array([-along[1], along[0]])
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    across = ((x - line[:, 0].mean()) * along[0] + (y - line[:, 1].mean()) * along[1]) / unit
    # Towards the corners of the mouth it is dark, and the rows of teeth bend back.
    light = np.exp(-np.square(across / 0.3))
    back = appearance.colour * (1 - appearance.depth * (1 - light))[..., None]
    gaps = 1 - 0.15 * (np.abs(((across / appearance.tooth) % 1) - 0.5) > 0.42)
    row = appearance.teeth * (light * gaps)[..., None]
    upper = [line - 0.5 * unit * down, (line + appearance.upper * unit * down)[::-1]]
    lower = [line + jaw + 0.5 * unit * down, (line + jaw - appearance.lower * unit * down)[::-1]]
    for edges in (lower, upper):
        alpha = cv2.GaussianBlur(filled(shape, np.concatenate(edges)), (0, 0), 0.7)[..., None]
        back = back * (1 - alpha) + row * alpha
    return np.asarray(back)


def filled(shape: tuple[int, ...], outline: np.ndarray) -> np.ndarray:
    """(S, S) float32, 1 inside an outline (P, 2 or more) [px]."""
    mask = np.zeros(shape[:2], np.uint8)
    corners = np.round(outline[:, :2] * 2**SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, shift=SUBPIXEL_BITS)
    return mask.astype(np.float32) / 255
