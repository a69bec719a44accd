"""Looks: skin, brows, lips, iris, hair, beard, clothes, painted in centimetres of the mean face.

Every texel of the face and head pages knows its place on the mean face, so marks are drawn on one
unrolled canvas (angle about the head's axis times 9 cm, height) and fetched from there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from face_renderer.face_model import HAIR, HAND, MATERIAL_COUNT, TORSO, FaceModel
from face_renderer.rasteriser import (
    interpolate_corners,
    njit,
    rasterise,
    vertex_normals,
)

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

PAGE_PX = 512
FACE_PAGE, HEAD_PAGE, EYE_PAGE, TORSO_PAGE, HAIR_PAGE = range(5)
PAGE_COUNT = 5
CANVAS_PX_PER_CM = 24
CANVAS_RADIUS_CM = 9.0
CANVAS_TOP_CM, CANVAS_BOTTOM_CM = 15.0, -20.0
COARSE_WAVES_PER_CM = 3.5
EYE_PAGE_ANGLE = np.deg2rad(80.0)
DIRECTIONS = 96
DECODE: F32 = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)

# Height of the hairline of the mean head [cm] against the angle from the front [deg].
HAIRLINE_DEG = np.array([0, 20, 35, 47, 56, 62, 66, 69, 73, 77, 81, 100, 108, 118, 135, 180.0])
HAIRLINE_CM = np.array(
    [11.3, 11.1, 10.6, 9.4, 8.0, 6.4, 4.4, 2.2, 1.2, 2.4, 3.6, 3.7, 1.5, -2.5, -5, -6.0]
)


def unroll(points: F32) -> F32:
    """(…, 3) points of the mean head to canvas centimetres (…, 2): arc to the left, height."""
    angle = np.arctan2(points[..., 0], points[..., 2])
    return np.stack([angle * CANVAS_RADIUS_CM, points[..., 1]], -1).astype(np.float32)


def to_canvas_px(unrolled: F32) -> F32:
    """Canvas centimetres to canvas pixels (x, y)."""
    half = np.pi * CANVAS_RADIUS_CM
    return np.stack(
        [
            (unrolled[..., 0] + half) * CANVAS_PX_PER_CM,
            (CANVAS_TOP_CM - unrolled[..., 1]) * CANVAS_PX_PER_CM,
        ],
        -1,
    ).astype(np.float32)


CANVAS_SIZE = (
    int((CANVAS_TOP_CM - CANVAS_BOTTOM_CM) * CANVAS_PX_PER_CM),
    int(2 * np.pi * CANVAS_RADIUS_CM * CANVAS_PX_PER_CM),
)


def directions(count: int = DIRECTIONS) -> F32:
    """(count, 3) unit vectors spread evenly over the sphere."""
    i = np.arange(count) + 0.5
    height = 1 - 2 * i / count
    angle = np.pi * (1 + 5**0.5) * i
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], 1).astype(np.float32)


class Atlas:
    """What every style needs of the mean face, computed once per process.

    Attributes:
        xyz: (2, s, s, 3) place of each texel of the face and head pages on the mean face [cm].
        canvas_xy: (2, s, s, 2) canvas pixels of those texels.
        visible: (n, 96) float32, 1 where the skin vertex sees the direction.
        directions: (96, 3).
        ambient: (n,) share of the sky each skin vertex sees.
        brow_ids, brow_weights: canvas lookup of the front of the face, see `on_mesh`.
    """

    def __init__(self, model: FaceModel) -> None:
        self.model = model
        pages = []
        for material in (0, 1):
            rows = model.triangle_material == material
            triangles, uv = model.triangles[rows], model.triangle_uv[rows].copy()
            uv[..., 0] -= material
            flat = np.arange(3 * len(uv), dtype=np.int32).reshape(-1, 3)
            screen = np.stack(
                [uv[..., 0].ravel() * PAGE_PX, (1 - uv[..., 1].ravel()) * PAGE_PX], 1
            )
            pages.append(self._fetch(flat, screen.astype(np.float32), model.neutral[triangles]))
        self.xyz = np.stack(pages)
        self.canvas_xy = to_canvas_px(unroll(self.xyz))
        self.skin_count = model.part_vertices['head_neck'].stop
        self._see()
        rows = model.triangle_material == 0
        triangles = model.triangles[rows]
        front = model.neutral[triangles][..., 2].min(1) > 1.0
        self._front = triangles[front]
        screen = to_canvas_px(unroll(model.neutral))
        reach = np.linalg.norm(model.neutral[:, [0, 2]], axis=1)
        self._front_ids, _ = rasterise(
            screen,
            (reach / 100 + 0.01).astype(np.float32),
            self._front,
            np.ones(len(self._front), np.bool_),
            np.ones(len(self._front), np.float32),
            *CANVAS_SIZE,
        )
        self._front_screen = screen

    @staticmethod
    def _fetch(triangles: NDArray[np.int32], screen: F32, corners: F32) -> F32:
        ids, _ = rasterise(
            screen,
            np.ones(len(screen), np.float32),
            triangles,
            np.ones(len(triangles), np.bool_),
            np.ones(len(triangles), np.float32),
            PAGE_PX,
            PAGE_PX,
        )
        page = interpolate_corners(ids, screen, triangles, corners.astype(np.float32))
        hole = (ids < 0).astype(np.uint8)
        _, labels = cv2.distanceTransformWithLabels(
            hole, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        source = np.zeros(labels.max() + 1, np.int64)
        ok = ids.ravel() >= 0
        source[labels.ravel()[ok]] = np.flatnonzero(ok)
        return page.reshape(-1, 3)[source[labels.ravel()]].reshape(page.shape)

    def _see(self) -> None:
        model = self.model
        rows = np.isin(model.triangle_material, (0, 1, 2))
        triangles = model.triangles[rows]
        normals = vertex_normals(model.neutral, model.triangles)[: self.skin_count]
        points = model.neutral
        self.directions = directions()
        self.visible = np.zeros((self.skin_count, DIRECTIONS), np.float32)
        size = 320
        for k, direction in enumerate(self.directions):
            side = np.cross(direction, [0.0, 1.0, 0.01])
            side /= np.linalg.norm(side)
            up = np.cross(side, direction)
            screen = np.stack([points @ side, points @ up], 1) * (size / 48) + size / 2
            near = (points @ direction + 60).astype(np.float32) / 100
            _, depth = rasterise(
                screen.astype(np.float32),
                near,
                triangles,
                np.ones(len(triangles), np.bool_),
                np.ones(len(triangles), np.float32),
                size,
                size,
            )
            lit = cv2.remap(
                depth,
                screen[: self.skin_count, 0].astype(np.float32) - 0.5,
                screen[: self.skin_count, 1].astype(np.float32) - 0.5,
                cv2.INTER_LINEAR,
            ).ravel()
            self.visible[:, k] = np.clip(1 - (lit - near[: self.skin_count] - 0.003) / 0.004, 0, 1)
            self.visible[normals @ direction < -0.35, k] = 0
        facing = np.clip(normals @ self.directions.T, 0, 1)
        self.ambient = ((self.visible * facing).sum(1) / (facing.sum(1) + 1e-6)).astype(np.float32)

    def on_mesh(self, unrolled: F32) -> tuple[NDArray[np.int32], F32]:
        """Finds canvas places on the face mesh.

        Args:
            unrolled: (n, 2) canvas centimetres, on the front of the face.

        Returns:
            (n, 3) vertex indices and (n, 3) weights.
        """
        px = to_canvas_px(unrolled)
        vertices = np.zeros((len(px), 3), np.int32)
        weights = np.zeros((len(px), 3), np.float32)
        for i, (x, y) in enumerate(px):
            row, column = int(y), int(x)
            if self._front_ids[row, column] < 0:
                # An eye or the mouth: the nearest skin.
                reach = 40
                near = self._front_ids[row - reach : row + reach, column - reach : column + reach]
                rows, columns = np.nonzero(near >= 0)
                best = int(((rows - reach) ** 2 + (columns - reach) ** 2).argmin())
                row, column = row - reach + int(rows[best]), column - reach + int(columns[best])
                x, y = column + 0.5, row + 0.5
            t = self._front[self._front_ids[row, column]]
            corner = np.c_[self._front_screen[t].astype(np.float64), np.ones(3)]
            vertices[i], weights[i] = t, np.linalg.solve(corner.T, [x, y, 1])
        return vertices, weights


@njit
def _noise_lookup(points, grid, scale, out):  # type: ignore[no-untyped-def]
    """Trilinear value noise on a periodic cube of 16."""
    for i in range(points.shape[0]):
        x, y, z = points[i, 0] * scale, points[i, 1] * scale, points[i, 2] * scale
        fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
        dx, dy, dz = x - fx, y - fy, z - fz
        ix, iy, iz = int(fx), int(fy), int(fz)
        total = 0.0
        for a in range(2):
            wa = dx if a == 1 else 1 - dx
            for b in range(2):
                wb = dy if b == 1 else 1 - dy
                for c in range(2):
                    wc = dz if c == 1 else 1 - dz
                    total += wa * wb * wc * grid[(ix + a) & 15, (iy + b) & 15, (iz + c) & 15]
        out[i] += total


def noise(points: F32, rng: np.random.Generator, scale: float, octaves: int = 1) -> F32:
    """Smooth noise about -1..1 at (…, 3) points; `scale` waves per unit of the first octave."""
    grid = rng.standard_normal((16, 16, 16)).astype(np.float32) * 0.6
    out = np.zeros(points.shape[:-1], np.float32)
    for octave in range(octaves):
        waves = scale * 2**octave
        # Slow waves over a whole page are sampled at every second texel.
        coarse = points.ndim == 4 and waves < COARSE_WAVES_PER_CM
        place = points[:, ::2, ::2] if coarse else points
        flat = np.ascontiguousarray(place.reshape(-1, 3), np.float32)
        part = np.zeros(len(flat), np.float32)
        _noise_lookup(flat, grid, np.float32(waves), part)
        layer = part.reshape(place.shape[:-1])
        if coarse:
            layer = np.stack(
                [cv2.resize(page, (points.shape[2], points.shape[1])) for page in layer]
            )
        out += layer * np.float32(0.6**octave)
    return out


def blur_front(canvas: F32, sigma: float) -> F32:
    """The canvas with its front (13 cm to either side, brow to chin and beyond) blurred."""
    middle = CANVAS_SIZE[1] // 2
    part = np.s_[
        : 28 * CANVAS_PX_PER_CM, middle - 14 * CANVAS_PX_PER_CM : middle + 14 * CANVAS_PX_PER_CM
    ]
    out = canvas.copy()
    out[part] = cv2.GaussianBlur(canvas[part], (0, 0), sigma)
    return out


def smoothstep(low: float, high: float, value: F32) -> F32:
    """0 below low, 1 above high, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


SKIN = (
    np.array(
        [
            [242, 208, 190],
            [232, 190, 166],
            [222, 176, 146],
            [205, 154, 122],
            [180, 128, 94],
            [148, 100, 70],
            [112, 74, 52],
            [84, 56, 42],
        ],
        np.float32,
    )
    / 255
)
HAIR_COLOURS = (
    np.array(
        [
            [26, 20, 18],
            [40, 28, 22],
            [66, 44, 30],
            [98, 66, 40],
            [150, 108, 62],
            [190, 150, 96],
            [120, 58, 32],
            [130, 126, 122],
            [196, 192, 188],
        ],
        np.float32,
    )
    / 255
)
IRIS_COLOURS = (
    np.array(
        [
            [62, 38, 22],
            [84, 54, 30],
            [46, 30, 20],
            [110, 84, 46],
            [88, 104, 70],
            [92, 120, 142],
            [120, 134, 142],
        ],
        np.float32,
    )
    / 255
)


@dataclass
class Style:
    """One look, drawn over the mean face.

    Attributes:
        textures: (PAGE_COUNT, s, s, 3) uint8 RGB, gamma-encoded.
        flat: (MATERIAL_COUNT, 3) linear RGB of materials without a page.
        hair_lift: (V,) how far the hair lifts each vertex from the skull [cm].
        hair_cover: (V,) 0..1 share of hair at each vertex (dulls highlights).
        brow_curves: right and left: upper (5, 2) and lower (4, 2) edge in canvas centimetres.
        gloss: strength of skin highlights.
        lash_alpha: opacity of the lashes.
        hair_fall: length of long hair below the ears [cm], 0 for none.
        glasses: None or (linear colour, thickness [cm], half width and half height of a lens [cm],
            roundness, tint).
    """

    textures: U8
    flat: F32
    hair_lift: F32
    hair_cover: F32
    brow_curves: dict[str, tuple[F32, F32]]
    gloss: float
    lash_alpha: float
    hair_fall: float
    fringe: float
    glasses: tuple[F32, float, float, float, float, float] | None


@dataclass
class StyleChoice:
    """What may be fixed by hand instead of drawn at random; None is random."""

    skin: float | None = None
    hair: int | None = None
    iris: int | None = None
    hair_style: str | None = None
    beard: float | None = None
    glasses: bool | None = None
    makeup: float | None = None
    age: float | None = None


def _brow(
    atlas: Atlas, rng: np.random.Generator, drop: float, width: float
) -> dict[str, tuple[F32, F32]]:
    """Upper and lower edges of both brows in canvas centimetres, mirrored alike."""
    points = unroll(atlas.model.neutral[atlas.model.landmarks68[17:22]])
    arch = rng.uniform(-0.15, 0.2)
    at = np.linspace(0, 1, 5)
    curve = points + np.stack([np.zeros(5), -drop + arch * np.sin(np.pi * at)], 1)
    curve[4, 0] += rng.uniform(-0.1, 0.25)
    half = width * np.array([0.12, 0.7, 1.0, 1.0, 0.62])
    upper = curve + np.stack([np.zeros(5), half], 1)
    lower = curve[[4, 3, 2, 1]] - np.stack([np.zeros(4), half[[4, 3, 2, 1]]], 1)
    flip = np.array([-1.0, 1.0])
    return {
        'Right': (upper.astype(np.float32), lower.astype(np.float32)),
        'Left': ((upper * flip).astype(np.float32)[::-1], (lower * flip).astype(np.float32)[::-1]),
    }


def _spline(points: F32, count: int) -> F32:
    at = np.linspace(0, len(points) - 1, count)
    return np.stack([np.interp(at, np.arange(len(points)), points[:, k]) for k in range(2)], 1)


def _paint_brow(
    canvas: F32, curves: tuple[F32, F32], rng: np.random.Generator, density: float
) -> None:
    """Draws one brow as filled haze and strokes; opacity, in place."""
    upper, lower = curves
    if upper[0, 0] > 0:
        upper, lower = upper[::-1], lower[::-1]
    # Now upper runs from the tail to the nose; lower from the nose to the tail.
    tail = (upper[0] + np.array([upper[0, 0], lower[-1, 1]])) / 2
    top = _spline(upper, 60)
    bottom = _spline(np.vstack([lower, tail[None]])[::-1], 60)
    outline = to_canvas_px(np.vstack([top, bottom[::-1]]).astype(np.float32))
    haze = np.zeros(canvas.shape, np.float32)
    cv2.fillPoly(haze, [np.round(outline * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    canvas[:] = np.maximum(canvas, blur_front(haze, 3.5) * 0.55 * density)
    strokes = np.zeros(canvas.shape, np.uint8)
    inward = np.sign(-upper[0, 0])
    for _ in range(int(260 * density)):
        at = rng.uniform(0, 1)
        k = min(int(at * 59), 59)
        across = rng.uniform(-0.05, 1.0)
        start = bottom[k] * (1 - across) + top[k] * across
        rise = np.deg2rad(10 + 65 * at + rng.normal(0, 12) - 25 * across)
        length = rng.uniform(0.3, 0.65) * (0.6 + 0.4 * at)
        end = start + length * np.array([-inward * np.cos(rise), np.sin(rise)])
        ends = np.round(to_canvas_px(np.stack([start, end]).astype(np.float32)) * 16).astype(
            np.int32
        )
        cv2.line(strokes, ends[0].tolist(), ends[1].tolist(), 255, 1, cv2.LINE_AA, 4)
    inside = blur_front(haze, 3.0)
    canvas[:] = np.maximum(
        canvas, np.clip(inside * 1.6, 0, 1) * strokes / 255.0 * min(1.0, 0.55 + 0.4 * density)
    )


def _blob(canvas_xy: F32, centre: tuple[float, float], spread: tuple[float, float]) -> F32:
    place = to_canvas_px(np.array(centre, np.float32))
    dx = (canvas_xy[..., 0] - place[0]) / (spread[0] * CANVAS_PX_PER_CM)
    dy = (canvas_xy[..., 1] - place[1]) / (spread[1] * CANVAS_PX_PER_CM)
    return np.exp(-0.5 * (dx**2 + dy**2)).astype(np.float32)


def hairline_distance(points: F32) -> F32:
    """How far above (+) the hairline (…, 3) points of the mean head lie [cm]."""
    angle = np.degrees(np.abs(np.arctan2(points[..., 0], points[..., 2])))
    return (points[..., 1] - np.interp(angle, HAIRLINE_DEG, HAIRLINE_CM)).astype(np.float32)


def eye_page(rng: np.random.Generator, iris: F32, pupil: float = 0.4) -> F32:
    """The eyeball by angle from its optical axis: (s, s, 3) gamma-encoded 0..1."""
    grid = (np.arange(PAGE_PX) + 0.5) / PAGE_PX * 2 - 1
    x, y = np.meshgrid(grid, -grid)
    angle = np.hypot(x, y) * EYE_PAGE_ANGLE
    turn = np.arctan2(y, x)
    radius = np.deg2rad(rng.uniform(22.5, 24.5))
    white = np.array([0.90, 0.875, 0.86]) * rng.uniform(0.92, 1.0)
    page = np.ones((PAGE_PX, PAGE_PX, 3)) * white
    red = smoothstep(radius, 1.2, angle) * rng.uniform(0.05, 0.2)
    page *= 1 - red[..., None] * np.array([0.1, 0.9, 0.9])
    fibres = rng.standard_normal((24, 360))
    fibres = cv2.GaussianBlur(np.tile(fibres, (1, 3)), (0, 0), 1.2, sigmaY=5)[:, 360:720]
    fibre = map_coordinates(
        fibres, [angle / radius * 23, (turn / (2 * np.pi) % 1) * 359], order=1, mode='nearest'
    )
    inner = smoothstep(0.35, 0.75, angle / radius)
    colour = iris * (0.8 + 0.55 * inner[..., None]) * (1 + 0.35 * np.clip(fibre, -2, 2)[..., None])
    colour = colour * (1 - 0.6 * smoothstep(0.78, 1.0, angle / radius)[..., None])
    disc = 1 - smoothstep(radius * 0.95, radius * 1.06, angle)
    page = page * (1 - disc[..., None]) + np.clip(colour, 0, 1) * disc[..., None]
    hole = 1 - smoothstep(radius * pupil * 0.9, radius * pupil * 1.05, angle)
    return (page * (1 - hole[..., None]) + 0.02 * hole[..., None]).astype(np.float32)


def make_style(atlas: Atlas, rng: np.random.Generator, choice: StyleChoice | None = None) -> Style:
    """Draws one look. The same generator state gives the same look."""
    choice = choice or StyleChoice()
    model = atlas.model
    tone = choice.skin if choice.skin is not None else rng.uniform(0, len(SKIN) - 1)
    skin = np.array([np.interp(tone, np.arange(len(SKIN)), SKIN[:, k]) for k in range(3)])
    skin = skin * (1 + rng.normal(0, 0.015, 3)) * rng.uniform(0.93, 1.04)
    dark = tone / (len(SKIN) - 1)
    age = choice.age if choice.age is not None else rng.beta(1.6, 2.2)
    if choice.hair is not None:
        hair = HAIR_COLOURS[choice.hair]
    else:
        odds = np.array([3, 3, 2, 1.5, 1, 0.8, 0.5, 0.3 + 2 * age**2, 0.1 + 1.5 * age**3])
        odds[3:7] *= max(0.02, 1 - 1.8 * dark)
        hair = HAIR_COLOURS[rng.choice(len(odds), p=odds / odds.sum())] * rng.uniform(0.8, 1.2)
    iris_odds = np.array([3, 3, 2, 1.2, 0.8, 1.5, 0.8])
    iris_odds[3:] *= max(0.02, 1 - 1.8 * dark)
    iris = IRIS_COLOURS[
        choice.iris
        if choice.iris is not None
        else rng.choice(len(iris_odds), p=iris_odds / iris_odds.sum())
    ]
    cut = choice.hair_style or str(
        rng.choice(['bald', 'short', 'medium', 'long', 'fringe'], p=[0.08, 0.34, 0.22, 0.24, 0.12])
    )
    long_hair = cut in ('long', 'fringe')
    beard = (
        choice.beard
        if choice.beard is not None
        else (0.0 if long_hair or rng.random() < 0.5 else rng.uniform(0.1, 1.0))
    )
    makeup = (
        choice.makeup
        if choice.makeup is not None
        else (rng.random() if long_hair else 0.1 * rng.random())
    )

    xyz, canvas_xy = atlas.xyz, atlas.canvas_xy
    map_x, map_y = canvas_xy[..., 0].reshape(-1, PAGE_PX), canvas_xy[..., 1].reshape(-1, PAGE_PX)

    def fetch(canvas: F32) -> F32:
        taken = cv2.remap(np.asarray(canvas, np.float32), map_x, map_y, cv2.INTER_LINEAR)
        return taken.reshape(2, PAGE_PX, PAGE_PX)

    def disc(x: float, y: float, rx: float, ry: float) -> F32:
        return _blob(canvas_xy, (x, y), (rx, ry)) + _blob(canvas_xy, (-x, y), (rx, ry))

    colour = np.ones((2, PAGE_PX, PAGE_PX, 3), np.float32) * skin.astype(np.float32)
    blotch = noise(xyz, rng, 0.5, 3)
    pores = noise(xyz, rng, 4.0, 2)
    colour *= (1 + 0.03 * blotch + 0.025 * pores)[..., None]
    flush = 0.14 * rng.uniform(0.4, 1.3) * (1 - 0.5 * dark)
    red = (
        disc(5.2, -0.2, 1.9, 1.5)
        + 0.8 * _blob(canvas_xy, (0, 0.4), (1.1, 0.9))
        + 0.4 * disc(13.5, 0.5, 1.5, 2)
    )
    red = flush * red * (1 + 0.3 * blotch)
    colour *= 1 - red[..., None] * np.array([0.1, 0.75, 0.75], np.float32)
    under = disc(3.0, 2.1, 1.0, 0.35) * rng.uniform(0.03, 0.16) * (0.6 + 0.8 * age)
    lid = disc(3.1, 4.35, 1.2, 0.3) * (0.10 + 0.3 * makeup * rng.random())
    socket = disc(1.6, 3.9, 0.7, 0.9) * 0.12
    colour *= 1 - (under + lid + socket)[..., None] * np.array([0.6, 0.85, 0.8], np.float32)
    # Marks: moles, freckles, wrinkles.
    marks = np.zeros(CANVAS_SIZE, np.float32)
    for _ in range(rng.poisson(3)):
        at = to_canvas_px(np.array([rng.uniform(-10, 10), rng.uniform(-7, 9)], np.float32))
        cv2.circle(
            marks,
            tuple(np.round(at).astype(int).tolist()),
            int(rng.integers(1, 4)),
            rng.uniform(0.2, 0.6),
            -1,
        )
    if rng.random() < 0.2 * (1 - dark):
        for _ in range(260):
            at = to_canvas_px(np.array([rng.normal(0, 4), rng.normal(1.2, 1.3)], np.float32))
            cv2.circle(
                marks,
                tuple(np.round(at).astype(int).tolist()),
                int(rng.integers(1, 3)),
                rng.uniform(0.1, 0.3),
                -1,
            )
    marks = blur_front(marks, 1.2)
    wrinkles = np.zeros(CANVAS_SIZE, np.float32)

    def crease(points: list[tuple[float, float]], depth: float, width: int) -> None:
        line = np.zeros(CANVAS_SIZE, np.float32)
        for sign in (1, -1):
            path = _spline(np.array(points, np.float32), 30) * np.array([sign, 1.0])
            path = path + np.cumsum(rng.normal(0, 0.01, path.shape), 0)
            px = np.round(to_canvas_px(path.astype(np.float32)) * 16).astype(np.int32)
            cv2.polylines(line, [px], False, depth, width, cv2.LINE_AA, 4)
        wrinkles[:] = np.maximum(wrinkles, blur_front(line, 1.0 + 0.6 * width))

    crease([(1.75, -0.3), (2.6, -1.6), (3.2, -3.2)], 0.2 + 0.55 * age * rng.random(), 4)
    if age > 0.45:
        for height in rng.uniform(7.5, 10, int(rng.integers(1, 4))):
            crease(
                [(0, height), (2.2, height + 0.25), (4.2, height - 0.1)],
                age * rng.uniform(0.2, 0.6),
                2,
            )
        for drop in (0.3, -0.1, -0.5):
            crease([(6.0, 3.4 + drop), (7.2, 3.5 + 1.6 * drop)], age * rng.uniform(0.15, 0.5), 2)
    colour *= 1 - (fetch(marks) * 0.9 + fetch(wrinkles) * 0.55)[..., None] * np.array(
        [0.55, 0.75, 0.8], np.float32
    )
    # Lips.
    outline = unroll(model.neutral[model.landmarks68[48:60]])
    outline = outline * np.array([0.985, 1.0], np.float32)
    shape = np.zeros(CANVAS_SIZE, np.float32)
    closed = np.vstack([outline, outline[:1]])
    fine = np.stack(
        [np.interp(np.linspace(0, 12, 97), np.arange(13), closed[:, k]) for k in range(2)], 1
    )
    cv2.fillPoly(
        shape,
        [np.round(to_canvas_px(fine.astype(np.float32)) * 16).astype(np.int32)],
        1.0,
        cv2.LINE_AA,
        4,
    )
    lip_mask = fetch(blur_front(shape, 2.5)) * (xyz[..., 2] > 7.0)
    lip = skin * np.array([0.86, 0.60, 0.60]) + np.array([0.02, 0.0, 0.01])
    if makeup > 0.5:
        lip = 0.45 * lip + 0.55 * np.array(
            [rng.uniform(0.5, 0.75), rng.uniform(0.1, 0.3), rng.uniform(0.15, 0.35)]
        )
    lip = lip * (0.9 + 0.15 * rng.random())
    lip_texture = 1 + 0.10 * noise(xyz * np.array([5, 0.5, 1.0], np.float32), rng, 1.0, 2)
    strength = (0.75 * lip_mask)[..., None]
    colour = colour * (1 - strength) + (lip * lip_texture[..., None]) * strength
    # Mouth line and nostrils read dark even when tiny.
    line = np.zeros(CANVAS_SIZE, np.float32)
    inner = unroll(model.neutral[model.landmarks68[[60, 61, 62, 63, 64]]])
    cv2.polylines(
        line,
        [np.round(to_canvas_px(_spline(inner, 40).astype(np.float32)) * 16).astype(np.int32)],
        False,
        1.0,
        3,
        cv2.LINE_AA,
        4,
    )
    colour *= 1 - (0.45 * fetch(blur_front(line, 2.0)))[..., None]
    # Eye line (lash roots).
    rim = np.zeros(CANVAS_SIZE, np.float32)
    for side in ('Right', 'Left'):
        upper, lower = model.lid_loops[side]
        for path, opacity, width in (
            (upper, 0.7 + 0.3 * makeup, 4),
            (lower, 0.18 + 0.2 * makeup**2, 2),
        ):
            layer = np.zeros(CANVAS_SIZE, np.float32)
            px = np.round(to_canvas_px(unroll(model.neutral[path])) * 16).astype(np.int32)
            cv2.polylines(
                layer,
                [px],
                False,
                opacity,
                width + int(1.5 * makeup * (width > 2)),
                cv2.LINE_AA,
                4,
            )
            rim = np.maximum(rim, layer)
    colour *= 1 - (fetch(blur_front(rim, 1.6)) * 0.75)[..., None]
    # Beard.
    hair_linear = hair.astype(np.float32)
    if beard > 0:
        cm = canvas_xy / CANVAS_PX_PER_CM
        arc, height = np.abs(cm[..., 0] - np.pi * CANVAS_RADIUS_CM), CANVAS_TOP_CM - cm[..., 1]
        cheek = np.interp(
            arc, [0, 2.6, 4.5, 7, 9.5, 11, 12.5], [-1.6, -1.5, -3.4, -4.2, -2.2, 1.5, 2.0]
        )
        below_cheek = smoothstep(-0.2, 0.9, cheek - height + 0.35 * noise(xyz, rng, 1.5))
        zone = np.multiply(below_cheek, smoothstep(-11.5, -8.5, height))
        zone *= 1 - smoothstep(11.8, 13.0, arc)
        soul = _blob(canvas_xy, (0, -1.75), (0.35, 0.4))
        zone = (
            np.clip(zone - 0.4 * soul, 0, 1)
            * (1 - np.clip(1.5 * lip_mask, 0, 1))
            * (height < cheek + 0.5)
        )
        stubble = 0.75 + 0.5 * noise(xyz, rng, 7.0, 2)
        opacity = np.clip(zone * stubble * (0.25 + 0.65 * beard), 0, 0.95)[..., None]
        colour = colour * (1 - opacity) + hair_linear * (0.85 + 0.3 * rng.random()) * opacity
    # Brows.
    curves = _brow(
        atlas,
        rng,
        rng.uniform(0.5, 0.95),
        rng.uniform(0.24, 0.42) if not long_hair else rng.uniform(0.18, 0.32),
    )
    brow = np.zeros(CANVAS_SIZE, np.float32)
    density = rng.uniform(0.7, 1.2)
    for side in ('Right', 'Left'):
        _paint_brow(brow, curves[side], rng, density)
    brow_colour = np.minimum(hair_linear * 0.8, 0.5) + 0.02
    opacity = fetch(brow)[..., None]
    colour = colour * (1 - opacity) + brow_colour * opacity
    # Scalp hair.
    above = hairline_distance(xyz)
    shift = rng.uniform(-0.8, 0.5) if cut != 'bald' else 0.0
    edge = above + shift + 0.22 * noise(xyz, rng, 1.2, 2)
    azimuth = np.arctan2(xyz[..., 0], xyz[..., 2] + 3.0)
    polar = np.arctan2(np.hypot(xyz[..., 0], xyz[..., 2] + 3.0), xyz[..., 1] - 2.0)
    streak_place = np.stack([azimuth * 9, polar * 1.2, np.zeros_like(polar)], -1).astype(
        np.float32
    )
    streak = noise(streak_place, rng, 1.6, 4)
    if cut == 'bald':
        scalp = np.multiply(smoothstep(-0.5, 1.0, edge), rng.uniform(0.0, 0.25))
    else:
        scalp = smoothstep(-0.25, 0.5, edge)
    fine = noise(streak_place * np.array([4.0, 1.0, 1.0], np.float32), rng, 2.2, 2)
    strands = hair_linear * np.clip(1 + 0.30 * streak + 0.22 * fine, 0.35, 1.9)[..., None]
    colour = colour * (1 - scalp[..., None]) + strands * scalp[..., None]
    # Clothes below the collar.
    cloth = rng.uniform(0.05, 0.85) * np.array([1, 1, 1]) + rng.uniform(-0.25, 0.25, 3)
    cloth = np.clip(cloth, 0.03, 0.9)
    collar = -13.2 - 3.2 * rng.random() * np.exp(-((xyz[..., 0] / 4) ** 2)) * (xyz[..., 2] > 0)
    dressed = 1 - smoothstep(-0.15, 0.15, xyz[..., 1] - collar)
    colour = colour * (1 - dressed[..., None]) + cloth * dressed[..., None]

    textures = np.zeros((PAGE_COUNT, PAGE_PX, PAGE_PX, 3), np.uint8)
    textures[:2] = np.clip(colour * 255, 0, 255)
    textures[EYE_PAGE] = np.clip(eye_page(rng, iris, rng.uniform(0.28, 0.5)) * 255, 0, 255)
    weave = np.ones((PAGE_PX, PAGE_PX, 1)) * cloth
    weave = (
        weave
        * (1 + 0.06 * cv2.GaussianBlur(rng.standard_normal((PAGE_PX, PAGE_PX)), (0, 0), 6) * 6)[
            ..., None
        ]
    )
    if rng.random() < 0.35:
        period = rng.uniform(10, 60)
        axis = np.arange(PAGE_PX)
        stripes = (np.sin(axis * 2 * np.pi / period) > rng.uniform(-0.5, 0.7)).astype(np.float32)
        stripes = stripes[None, :] if rng.random() < 0.5 else stripes[:, None]
        weave = (
            weave * (1 - 0.5 * stripes[..., None])
            + rng.uniform(0, 1, 3) * 0.5 * stripes[..., None]
        )
    textures[TORSO_PAGE] = np.clip(weave * 255, 0, 255)
    lines = cv2.GaussianBlur(rng.standard_normal((PAGE_PX, PAGE_PX)), (0, 0), 1.5, sigmaY=40)
    lines = lines / lines.std()
    textures[HAIR_PAGE] = np.clip(
        hair * np.clip(1 + 0.33 * lines, 0.3, 1.9)[..., None] * 255, 0, 255
    )

    flat = np.zeros((MATERIAL_COUNT, 3), np.float32)
    flat[3] = [0.16, 0.035, 0.03]
    flat[4] = (skin**2.2) * np.array([0.8, 0.5, 0.5])
    flat[5] = [0.52, 0.17, 0.15]
    flat[6] = np.array([0.95, 0.88, 0.76]) * rng.uniform(0.85, 1.1)
    flat[7] = 0.01
    flat[TORSO] = cloth**2.2
    flat[HAIR] = hair**2.2
    flat[HAND] = (skin * np.array([0.97, 0.93, 0.92])) ** 2.2

    # Hair as a lift of the skull.
    vertices = model.neutral[: atlas.skin_count]
    lift = np.zeros(len(model.neutral), np.float32)
    cover = np.zeros(len(model.neutral), np.float32)
    distance = hairline_distance(vertices) + shift
    if cut != 'bald':
        top, sides = {
            'short': (rng.uniform(0.5, 1.4), rng.uniform(0.15, 0.6)),
            'medium': (rng.uniform(1.2, 2.6), rng.uniform(0.5, 1.4)),
            'long': (rng.uniform(0.7, 1.6), rng.uniform(0.7, 1.5)),
            'fringe': (rng.uniform(0.9, 1.6), rng.uniform(0.8, 1.5)),
        }[cut]
        high = smoothstep(4.0, 11.5, vertices[:, 1])
        amount = sides + (top - sides) * high
        amount = amount * (1 + 0.25 * noise(vertices, rng, 0.35, 2))
        lift[: atlas.skin_count] = np.clip(amount, 0.05, 3.5) * smoothstep(-0.1, 1.6, distance)
        cover[: atlas.skin_count] = smoothstep(-0.2, 0.6, distance)
    glasses = None
    wears = choice.glasses if choice.glasses is not None else rng.random() < 0.22
    if wears:
        frame = np.clip(
            rng.choice([0.02, 0.05, 0.3]) + rng.uniform(-0.02, 0.15, 3), 0.005, 0.6
        ).astype(np.float32)
        tint = float(rng.choice([0.06, 0.1, 0.85], p=[0.6, 0.3, 0.1]))
        glasses = (
            frame,
            float(rng.uniform(0.08, 0.22)),
            float(rng.uniform(2.3, 2.9)),
            float(rng.uniform(1.5, 2.2)),
            float(rng.uniform(2.0, 5.0)),
            tint,
        )
    return Style(
        textures=textures,
        flat=flat,
        hair_lift=lift,
        hair_cover=cover,
        brow_curves=curves,
        gloss=float(rng.uniform(0.01, 0.07)),
        lash_alpha=float(np.clip(0.45 + 0.4 * makeup + rng.normal(0, 0.1), 0.2, 0.95)),
        hair_fall=float(rng.uniform(6, 22)) if long_hair else 0.0,
        fringe=float(rng.uniform(0.6, 1.0)) if cut == 'fringe' else 0.0,
        glasses=glasses,
    )
