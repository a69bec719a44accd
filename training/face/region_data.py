"""Crops around faces with the way from the crop to the canonical region.

Every face is kept once as a grey tile of 3.4 regions; samples are drawn from the tiles: moved,
scaled, rolled, mirrored, relit, and now and then far off the face.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kf_imitation.face.canonical_region import canonical_region
from kf_imitation.face.region_network import CROP_PX, CROP_REGIONS

TILE_REGIONS = 3.4
TILE_PX = 208
REGION_PX = TILE_PX / TILE_REGIONS


@dataclass(frozen=True, slots=True)
class Tile:
    """One face.

    Attributes:
        grey: (208, 208) uint8, the canonical region in its middle.
        hull: (N, 2) convex hull of the face landmarks in tile pixels.
    """

    grey: np.ndarray
    hull: np.ndarray


def make_tile(bgr: np.ndarray, points: np.ndarray) -> Tile:
    """Cut the tile of a face out of a frame; (478, 2) points in pixels."""
    region = canonical_region(points)
    scale = REGION_PX / region.size
    x = region.x + region.size / 2 - TILE_PX / 2 / scale
    y = region.y + region.size / 2 - TILE_PX / 2 / scale
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    if scale < 0.5:  # less aliasing
        step = 0.5 / scale
        grey = cv2.GaussianBlur(grey, (0, 0), 0.5 * step)
    matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])
    tile = cv2.warpAffine(grey, matrix, (TILE_PX, TILE_PX), borderMode=cv2.BORDER_REPLICATE)
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    return Tile(tile, (hull - (x, y)) * scale)


def load_tiles(data: Path, split: str, frames_per_clip: int) -> list[list[Tile]]:
    """Tiles of one split of ../shared/data, one list per clip or face-image set of a person."""
    groups: list[list[Tile]] = []
    for video in sorted((data / 'clips' / split).glob('*.mp4')):
        labels = np.load(video.with_suffix('.npz'))
        points, valid = labels['landmarks_q'][..., :2] / 16.0, labels['valid']
        step = max(1, len(points) // frames_per_clip)
        capture = cv2.VideoCapture(str(video))
        tiles = []
        for i in range(len(points)):
            if not capture.grab():
                break
            if i % step == 0 and valid[i]:
                tiles.append(make_tile(capture.retrieve()[1], points[i]))
        groups.append(tiles)
    faces = np.load(data / 'faces' / f'{split}.npz')
    by_person: dict[str, list[Tile]] = {}
    for name, person, points in zip(
        faces['name'], faces['person'], faces['landmarks_q'], strict=True
    ):
        image = cv2.imread(str(data / 'faces' / split / str(name)))
        if image is not None and points.any():
            tile = make_tile(image, points[:, :2] / 16.0)
            by_person.setdefault(str(person), []).append(tile)
    return groups + list(by_person.values())


def draw(
    groups: list[list[Tile]], rng: np.random.Generator, count: int, plain: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw samples.

    Args:
        groups: a group is chosen first, with the clips four times as likely as one person's
            face images, then a tile of it.
        rng: the only source of chance.
        count: n.
        plain: no rolling, relighting or negatives (validation).

    Returns:
        Crops (n, 1, 40, 40) uint8; targets (n, 3) float32: centre of the canonical region minus
        centre of the crop, in regions of the crop, and the log of the ratio of sizes; and
        (n,) float32 1 for a face, 0 for none, 0.5 for neither.
    """
    sizes = np.array([min(len(g), 20) for g in groups], np.float64)
    chances = sizes / sizes.sum()
    crops = np.empty((count, 1, CROP_PX, CROP_PX), np.uint8)
    targets = np.zeros((count, 3), np.float32)
    faces = np.ones(count, np.float32)
    for i in range(count):
        group = groups[rng.choice(len(groups), p=chances)]
        tile = group[rng.integers(len(group))]
        kind = 'near' if plain else rng.choice(['near', 'far'], p=[0.75, 0.25])
        crops[i, 0], targets[i], faces[i] = _sample(tile, rng, kind == 'far', plain)
    return crops, targets, faces


def _sample(
    tile: Tile, rng: np.random.Generator, far: bool, plain: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    roll = 0.0 if plain else np.deg2rad(rng.normal(0, 12))
    mirror = 1.0 if plain or rng.random() < 0.5 else -1.0
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    turn = turn @ np.diag([mirror, 1.0])
    centred = (tile.hull - TILE_PX / 2) @ turn.T  # face turned, around the tile's middle
    region = canonical_region(centred)
    middle = np.array([region.x, region.y]) + region.size / 2
    if far:
        angle, way = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 1.2)
        shift = way * np.array([np.cos(angle), np.sin(angle)])
        log_size = rng.choice([rng.uniform(-1.4, -0.5), rng.uniform(-0.3, 0.3)])
    else:
        spread = 0.5 if plain else 1.0
        shift = rng.uniform(-0.2, 0.2, 2) * spread
        log_size = rng.uniform(-0.25, 0.25) * spread
    size = region.size * np.exp(log_size)  # of the crop's idea of the region
    centre = middle + shift * size
    distance = float(np.hypot(*shift))
    if distance < 0.3 and abs(log_size) < 0.4:
        face = 1.0
    elif distance > 0.5 or abs(log_size) > 0.8:
        face = 0.0
    else:
        face = 0.5
    scale = 2 * CROP_PX / (CROP_REGIONS * size)
    linear = turn * scale
    offset = CROP_PX - scale * centre - linear @ np.full(2, TILE_PX / 2)
    crop = cv2.warpAffine(
        tile.grey,
        np.column_stack([linear, offset]),
        (2 * CROP_PX, 2 * CROP_PX),
        borderMode=cv2.BORDER_REPLICATE,
    )
    crop = cv2.resize(crop, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA)
    if not plain:
        crop = _relight(crop, rng)
    target = np.array([*(-shift), -log_size], np.float32)
    return crop, target, face


def _relight(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image = crop.astype(np.float32)
    if rng.random() < 0.5:
        image = 255 * (image / 255) ** np.exp(rng.normal(0, 0.4))
    if rng.random() < 0.4:  # light from a side
        ramp = np.linspace(-1, 1, CROP_PX, dtype=np.float32)
        slope = rng.normal(0, 30, 2)
        image = image + slope[0] * ramp[None, :] + slope[1] * ramp[:, None]
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.25:  # a hand, a microphone, the end of the frame
        x, y = rng.integers(0, CROP_PX, 2)
        w, h = rng.integers(4, 16, 2)
        image[y : y + h, x : x + w] = rng.uniform(0, 255)
    image = image * rng.uniform(0.5, 1.3) + rng.uniform(-20, 20)
    image = image + rng.normal(0, rng.uniform(0, 6), image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)
