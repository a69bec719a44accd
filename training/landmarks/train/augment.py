"""What a camera and a room do to a face: geometry, light, blur, small faces, things in front."""

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.face_geometry import wflw
from kf_imitation.inference import similarity
from training.landmarks.networks.pfld import CROP_PX
from training.landmarks.train.data import apply

Image = NDArray[np.uint8]
Points = NDArray[np.float32]


def region_matrix(
    rng: np.random.Generator, points: Points, template: Points, cache_px: int, span: float
) -> NDArray[np.float32]:
    """A crop as the runtime cuts it: from a face region, or aligned by a first estimate.

    Args:
        rng: source of randomness.
        points: (98, 2) in cache pixels.
        template: (98, 2) in crop edges.
        cache_px: edge of the cached crop.
        span: cached square over the canonical region.

    Returns:
        (2, 3) float32 from cache to crop pixels.
    """
    if rng.random() < 0.5:
        guess = points + rng.normal(0, 0.012 * cache_px / span, points.shape)
        aligned = similarity(guess.astype(np.float32), template)
        scale, angle = rng.normal(1, 0.04), np.radians(rng.normal(0, 4))
        centre = rng.normal(0, 0.02, 2) + 0.5
        base = np.vstack([aligned, [0, 0, 1]])
    else:
        size = cache_px / span * rng.uniform(0.78, 1.14)
        scale, angle = 1.0, np.radians(rng.uniform(-25, 25))
        centre = rng.uniform(-0.08, 0.08, 2) + 0.5
        half = (cache_px - 1) / 2
        base = np.array([[1 / size, 0, 0.5 - half / size], [0, 1 / size, 0.5 - half / size],
                         [0, 0, 1]])  # fmt: skip
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[c, -s, centre[0]], [s, c, centre[1]], [0, 0, 1]])
    turn[:2, 2] -= turn[:2, :2] @ [0.5, 0.5]
    matrix = (turn @ base)[:2] * CROP_PX
    return matrix.astype(np.float32)


def occlude(rng: np.random.Generator, crop: Image, other: Image) -> NDArray[np.bool_]:
    """Put a blob, bar, hand or piece of another picture over a crop, in place.

    Args:
        rng: source of randomness.
        crop: (P, P, 3).
        other: (P, P, 3) to take pieces of.

    Returns:
        (P, P) bool, what is covered.
    """
    px = crop.shape[0]
    mask = np.zeros((px, px), np.uint8)
    centre = tuple(int(v) for v in rng.uniform(0.1, 0.95, 2) * px)
    kind = rng.integers(4)
    if kind == 0:
        axes = tuple(int(v) for v in rng.uniform(0.06, 0.3, 2) * px)
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    elif kind == 1:
        angle = rng.uniform(0, np.pi)
        reach = np.array([np.cos(angle), np.sin(angle)]) * px
        ends = [tuple(int(v) for v in centre + sign * reach) for sign in (0, 1)]
        cv2.line(mask, ends[0], ends[1], 255, int(rng.uniform(0.05, 0.22) * px))
    elif kind == 2:  # a hand: palm and fingers from one side
        palm = int(rng.uniform(0.12, 0.22) * px)
        cv2.circle(mask, centre, palm, 255, -1)
        angle = rng.uniform(0, 2 * np.pi)
        for finger in np.linspace(-0.7, 0.7, 4) + rng.normal(0, 0.05, 4):
            reach = np.array([np.cos(angle + finger), np.sin(angle + finger)]) * palm * 2.2
            cv2.line(mask, centre, tuple(int(v) for v in centre + reach), 255, max(2, palm // 3))
        wrist = np.array([np.cos(angle + np.pi), np.sin(angle + np.pi)]) * px
        cv2.line(mask, centre, tuple(int(v) for v in centre + wrist), 255, int(palm * 1.3))
    else:
        size = rng.uniform(0.15, 0.45, 2) * px
        low = np.maximum(0, centre - size / 2).astype(int)
        high = (low + size).astype(int)
        mask[low[1] : high[1], low[0] : high[0]] = 255
    if rng.random() < 0.5:
        filling = np.roll(other, tuple(rng.integers(px, size=2)), (0, 1))
    else:
        skin = np.array([110, 140, 190]) * rng.uniform(0.35, 1.15) + rng.normal(0, 12, 3)
        colour = skin if kind == 2 or rng.random() < 0.3 else rng.uniform(0, 255, 3)
        shade = np.linspace(rng.uniform(0.7, 1), rng.uniform(0.7, 1), px)[:, None, None]
        filling = np.clip(np.repeat(colour * shade, px, 1), 0, 255).astype(np.uint8)
    where = mask > 127
    crop[where] = filling[where]
    return where


def photometric(rng: np.random.Generator, crop: Image) -> Image:
    """Light, colour, low resolution, blur, noise and JPEG."""
    levels = np.arange(256, dtype=np.float32)
    gamma, gain, lift = rng.uniform(0.6, 1.6), rng.uniform(0.6, 1.3), rng.uniform(-25, 25)
    tint = rng.normal(1, 0.06, 3)
    curve = 255 * (levels / 255) ** gamma
    table = np.clip(curve[:, None] * gain * tint + lift, 0, 255).astype(np.uint8)
    crop = cv2.LUT(crop, table[None])
    if rng.random() < 0.12:
        crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.2:  # light from one side
        a, b = rng.uniform(0.4, 1.2, 2)
        ramp = np.linspace(a, b, CROP_PX, dtype=np.float32)
        ramp = ramp[:, None, None] if rng.random() < 0.4 else ramp[None, :, None]
        crop = np.clip(crop * ramp, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        small = int(rng.uniform(32, 90))
        crop = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
        crop = cv2.resize(crop, (CROP_PX, CROP_PX), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.2:
        if rng.random() < 0.5:
            crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.5, 1.8))
        else:
            length = int(rng.integers(3, 9))
            kernel = np.zeros((length, length), np.float32)
            angle = rng.uniform(0, np.pi)
            reach = np.array([np.cos(angle), np.sin(angle)]) * length
            middle = np.array([length // 2, length // 2])
            ends = [tuple(int(v) for v in middle + sign * reach) for sign in (-1, 1)]
            cv2.line(kernel, ends[0], ends[1], 1.0)
            crop = cv2.filter2D(crop, -1, kernel / kernel.sum())
    if rng.random() < 0.25:
        noise = rng.standard_normal(crop.shape, np.float32) * np.float32(rng.uniform(2, 14))
        crop = np.clip(crop + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        quality = int(rng.uniform(15, 70))
        crop = cv2.imdecode(cv2.imencode('.jpg', crop, [1, quality])[1], cv2.IMREAD_COLOR)
    return crop


def training_crop(
    rng: np.random.Generator,
    cached: Image,
    points: Points,
    template: Points,
    span: float,
    other: Image,
    *,
    clean: bool = False,
    cover: float = 0.35,
) -> tuple[Image, Points, bool, Points, float]:
    """Cut and disturb one crop.

    Args:
        rng: source of randomness.
        cached: (P, P, 3) cached square.
        points: (98, 2) in its pixels.
        template: (98, 2) in crop edges.
        span: cached square over the canonical region.
        other: any other cached square, a filling for things in front.
        clean: geometry only, as for measuring.
        cover: how often something is put in front.

    Returns:
        crop (112, 112, 3), points (98, 2) in crop edges, whether it was mirrored, (98,): 1 where
        nothing was put over the point, and how far the crop was turned before it was mirrored
        [rad], clockwise as seen.
    """
    matrix = region_matrix(rng, points, template, cached.shape[0], span)
    crop = cv2.warpAffine(
        cached, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    labels = (apply(matrix, points) + 0.5) / CROP_PX
    mirrored = not clean and bool(rng.random() < 0.5)
    if mirrored:
        crop = np.ascontiguousarray(crop[:, ::-1])
        labels = labels[wflw.FLIP]
        labels[:, 0] = 1 - labels[:, 0]
    visible = np.ones(len(labels), np.float32)
    if not clean:
        if rng.random() < cover:
            patch = cv2.resize(other, (CROP_PX, CROP_PX), interpolation=cv2.INTER_NEAREST)
            covered = occlude(rng, crop, patch)
            place = np.clip((labels * CROP_PX).astype(int), 0, CROP_PX - 1)
            visible[covered[place[:, 1], place[:, 0]]] = 0.0
        crop = photometric(rng, crop)
    turned = float(np.arctan2(matrix[1, 0], matrix[0, 0]))
    return crop, labels.astype(np.float32), mirrored, visible, turned
