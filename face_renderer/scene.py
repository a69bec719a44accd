"""One face in front of one camera: posing, lighting, drawing, labels, flow."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from face_renderer import ground_truth
from face_renderer.appearance import (
    DECODE,
    EYE_PAGE,
    EYE_PAGE_ANGLE,
    FACE_PAGE,
    HAIR_PAGE,
    HEAD_PAGE,
    TORSO_PAGE,
    Atlas,
    Style,
    smoothstep,
    unroll,
)
from face_renderer.face_model import (
    GLASSES,
    HAIR,
    HAND,
    MATERIAL_COUNT,
    MATERIALS,
    SIDES,
    TORSO,
    Person,
)
from face_renderer.rasteriser import (
    average_flow,
    blend_layer,
    light_vertices,
    rasterise,
    resolve,
    sample_flow,
    shade,
    vertex_normals,
)

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

PIVOT = np.array([0.0, -3.0, -1.0], np.float32)
EYE_BIAS_CM = 0.10


@dataclass(frozen=True)
class Pose:
    """Head pose.

    Attributes:
        yaw: to the subject's left [rad].
        pitch: up [rad].
        roll: counter-clockwise as seen [rad].
        x: place of the head, to the right of the picture [cm].
        y: up [cm].
        z: to the camera, negative in front of it [cm].
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    x: float = 0.0
    y: float = 0.0
    z: float = -70.0

    @property
    def rotation(self) -> F32:
        """(3, 3) from head to camera axes (x right, y up, z to the camera)."""
        cy, sy = np.cos(self.yaw), np.sin(self.yaw)
        cp, sp = np.cos(self.pitch), np.sin(self.pitch)
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return (about_y @ about_x @ about_z).astype(np.float32)

    @property
    def matrix(self) -> F32:
        """(4, 4) from head coordinates to the camera [cm]."""
        out = np.eye(4, dtype=np.float32)
        out[:3, :3] = self.rotation
        out[:3, 3] = np.array([self.x, self.y, self.z]) + PIVOT - self.rotation @ PIVOT
        return out


@dataclass(frozen=True)
class Camera:
    """Pinhole: focal length and principal point [px], for a picture of width x height."""

    focal: float
    cx: float
    cy: float
    width: int
    height: int

    def project(self, points: F32) -> F32:
        """(n, 3) camera-space points (z negative in front) to (n, 2) pixels, y down."""
        depth = -points[:, 2]
        return np.stack(
            [
                self.focal * points[:, 0] / depth + self.cx,
                -self.focal * points[:, 1] / depth + self.cy,
            ],
            1,
        ).astype(np.float32)


@dataclass
class Lights:
    """Directional lights and a sky.

    Attributes:
        directions: (L, 3) unit vectors towards the lights, camera axes.
        colours: (L, 3) linear.
        softness: (L,) concentration of the shadow weights; small is soft.
        sky: (3,) light from above.
        ground: (3,) light from below.
    """

    directions: F32
    colours: F32
    softness: F32
    sky: F32
    ground: F32

    @staticmethod
    def random(rng: np.random.Generator) -> Lights:
        """Key, often a fill and a rim, tinted."""
        count = int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))
        found, colours = [], []
        for k in range(count):
            side = rng.uniform(-1.25, 1.25) if k == 0 else rng.uniform(-2.4, 2.4)
            height = rng.uniform(0.05, 1.0) if k < 2 else rng.uniform(-0.3, 0.9)
            found.append(
                [np.sin(side) * np.cos(height), np.sin(height), np.cos(side) * np.cos(height)]
            )
            warm = rng.normal(0, 0.07)
            colours.append(
                np.array([1 + warm, 1.0, 1 - warm]) * (1.0 if k == 0 else rng.uniform(0.15, 0.7))
            )
        ambient = rng.uniform(0.25, 0.9)
        warm = rng.normal(0, 0.06)
        sky = ambient * np.array([1 - warm, 1.0, 1 + warm])
        return Lights(
            np.array(found, np.float32),
            np.clip(np.array(colours, np.float32), 0.02, 2),
            rng.uniform(4, 40, count).astype(np.float32),
            sky.astype(np.float32),
            (sky * rng.uniform(0.35, 0.8)).astype(np.float32),
        )


def _grid_triangles(
    rows: int, columns: int, first: int, closed: bool = False
) -> NDArray[np.int32]:
    out = []
    for r in range(rows - 1):
        for c in range(columns if closed else columns - 1):
            a = first + r * columns + c
            b = first + r * columns + (c + 1) % columns
            d, e = a + columns, b + columns
            out += [(a, d, b), (b, d, e)]
    return np.array(out, np.int32)


def _tube(path: F32, radius: float, closed: bool) -> tuple[F32, NDArray[np.int32]]:
    """A four-sided tube about a path (n, 3)."""
    after = np.roll(path, -1, 0) if closed else np.vstack([path[1:], path[-1:] * 2 - path[-2:-1]])
    along = after - path
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    side = np.cross(along, np.array([0.1, 0.2, 1.0]))
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    other = np.cross(along, side)
    ring = np.stack(
        [path + radius * (side * c + other * s) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))], 1
    )
    n = len(path)
    triangles = []
    for i in range(n if closed else n - 1):
        j = (i + 1) % n
        for k in range(4):
            m = (k + 1) % 4
            triangles += [(4 * i + k, 4 * i + m, 4 * j + k), (4 * i + m, 4 * j + m, 4 * j + k)]
    return ring.reshape(-1, 3).astype(np.float32), np.array(triangles, np.int32)


def _limb(path: F32, radii: F32, sides: int = 9) -> tuple[F32, NDArray[np.int32]]:
    """A round limb along a path (n, 3) with a radius at each point, closed at the far end."""
    fine = np.linspace(0, len(path) - 1, 4 * (len(path) - 1) + 1)
    middle = np.stack([np.interp(fine, np.arange(len(path)), path[:, k]) for k in range(3)], 1)
    middle[1:-1] = (middle[:-2] + 2 * middle[1:-1] + middle[2:]) / 4
    width = np.interp(fine, np.arange(len(path)), radii)
    along = np.gradient(middle, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    # A round tip.
    tip = [middle[-1] + along[-1] * width[-1] * np.sin(a) for a in (0.5, 1.0, 1.4)]
    middle = np.vstack([middle, *[t[None] for t in tip]])
    width = np.r_[width, width[-1] * np.cos([0.5, 1.0, 1.4])]
    along = np.vstack([along, np.repeat(along[-1:], 3, 0)])
    side = np.cross(along, np.array([0.13, 0.21, 1.0]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(along, side)
    turn = np.linspace(0, 2 * np.pi, sides + 1)[:-1]
    ring = middle[:, None] + width[:, None, None] * (
        side[:, None] * np.cos(turn)[:, None] + other[:, None] * np.sin(turn)[:, None]
    )
    points = np.vstack([ring.reshape(-1, 3), middle[-1:] + along[-1:] * 0.02])
    triangles = []
    for i in range(len(middle) - 1):
        for k in range(sides):
            a, b = i * sides + k, i * sides + (k + 1) % sides
            triangles += [(a, b, a + sides), (b, b + sides, a + sides)]
    last = (len(middle) - 1) * sides
    triangles += [(last + k, last + (k + 1) % sides, len(points) - 1) for k in range(sides)]
    return points.astype(np.float32), np.array(triangles, np.int32)


def hand_mesh(rng: np.random.Generator) -> tuple[F32, NDArray[np.int32]]:
    """A hand with its forearm: fingers along +y, back to +z, origin in the palm [cm]."""
    curl = rng.uniform(0.0, 1.0)
    spread = rng.uniform(0.0, 0.16)
    parts = []
    for base, length, lean in (
        (-3.1, 6.4, -1.4),
        (-1.05, 7.6, -0.4),
        (1.05, 7.9, 0.5),
        (3.05, 7.0, 1.4),
    ):
        bend = curl * rng.uniform(0.6, 1.1)
        x = base + lean * spread * np.array([0.0, 2.0, 4.0, 5.5])
        y = 3.0 + length * np.array(
            [
                0.0,
                0.42,
                0.42 + 0.32 * np.cos(bend),
                0.42 + 0.32 * np.cos(bend) + 0.26 * np.cos(1.8 * bend),
            ]
        )
        z = -length * np.array(
            [
                0.0,
                0.02,
                0.04 + 0.32 * np.sin(bend),
                0.04 + 0.32 * np.sin(bend) + 0.26 * np.sin(1.8 * bend),
            ]
        )
        parts.append(_limb(np.stack([x, y, z], 1), np.array([1.05, 0.95, 0.85, 0.7])))
    thumb = np.array([[2.6, -3.2, -0.4], [4.8, -0.8, -1.0], [5.8, 1.6, -1.4], [6.0, 3.8, -1.6]])
    parts.append(_limb(thumb, np.array([1.5, 1.2, 1.0, 0.8])))
    # Four joined columns make the palm and the back of the hand.
    for base, top in ((-3.0, -2.4), (-1.0, -0.9), (1.1, 1.0), (3.0, 2.5)):
        parts.append(
            _limb(
                np.array([[top * 0.8, -4.6, 0.1], [base, -0.5, 0.15], [base, 3.4, 0.0]]),
                np.array([1.45, 1.5, 1.15]),
            )
        )
    parts.append(
        _limb(
            np.array([[0.0, -32.0, 0.0], [0.0, -14.0, 0.0], [0.0, -6.0, 0.1], [0.0, -3.0, 0.1]]),
            np.array([4.4, 3.8, 2.7, 2.4]),
            14,
        )
    )
    points, triangles, count = [], [], 0
    for part, faces in parts:
        points.append(part)
        triangles.append(faces + count)
        count += len(part)
    mesh, corners = np.concatenate(points), np.concatenate(triangles)
    if rng.random() < 0.5:
        return mesh * np.array([-1, 1, 1], np.float32), corners[:, [0, 2, 1]]
    return mesh, corners


def random_hand(actor: Actor, rng: np.random.Generator) -> F32:
    """(4, 4) from the hand to the unturned head: somewhere on the face, pointing up or across."""
    neutral, marks = actor.person.neutral, actor.person.model.landmarks68
    target = neutral[marks[rng.integers(0, 68)]] + rng.normal(0, 0.8, 3)
    roll = rng.normal(0, 0.7) + rng.choice([-0.5, 0.5])
    about_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    tilt = rng.uniform(-0.7, 0.2)
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    out = np.eye(4)
    out[:3, :3] = about_z @ about_x
    # The part that covers the target is a fingertip or the palm, a little off the skin.
    cover = np.array([rng.uniform(-3, 3), rng.uniform(0.0, 9.0), -1.5])
    out[:3, 3] = target - out[:3, :3] @ cover
    nearest = neutral[: actor.atlas.skin_count, 2].max() if rng.random() < 0.5 else target[2]
    out[2, 3] += max(0.0, nearest - target[2]) * 0.8 + rng.uniform(0.2, 2.0)
    return out.astype(np.float32)


@dataclass
class Actor:
    """A person with a look: everything that stays while expression and pose change."""

    person: Person
    style: Style
    atlas: Atlas
    triangles: NDArray[np.int32] = field(init=False)
    uv: F32 = field(init=False)
    page: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        model = self.person.model
        self.rig = ground_truth.landmark_rig(self.atlas, self.style)
        count = len(model.neutral)
        radial = model.neutral - np.array([0, 3.0, -1.0], np.float32)
        radial /= np.linalg.norm(radial, axis=1, keepdims=True)
        self.lift = (radial * self.style.hair_lift[:, None]).astype(np.float32)
        solid = model.triangle_material != MATERIALS['lashes_L']
        self.lashes = model.triangles[~solid]
        self._lash_alpha = self._lash_opacity(model.triangle_uv[~solid][..., 1])
        triangles = [model.triangles[solid]]
        material = [model.triangle_material[solid]]
        uv = [model.triangle_uv[solid].copy()]
        uv[0][material[0] == 1, :, 0] -= 1.0
        extra: list[F32] = []
        follow: list[F32] = []
        ties: list[NDArray[np.int32]] = []
        self.lenses = np.zeros((0, 3), np.int32)

        def add(
            points: F32,
            faces: NDArray[np.int32],
            coordinates: F32,
            kind: int,
            weight: F32,
            ties_: NDArray[np.int32] | None = None,
        ) -> int:
            first = count + sum(len(e) for e in extra)
            extra.append(points.astype(np.float32))
            follow.append(weight.astype(np.float32))
            ties.append(ties_ if ties_ is not None else np.zeros(len(points), np.int32) - 1)
            triangles.append(faces + first)
            material.append(np.full(len(faces), kind, np.int32))
            uv.append(coordinates[faces].astype(np.float32))
            return first

        self._torso(add)
        if self.style.hair_fall > 0:
            self._long_hair(add)
        if self.style.fringe > 0:
            self._fringe(add)
        if self.style.glasses is not None:
            self._glasses(add)
        points, faces = hand_mesh(np.random.default_rng(int(self.style.gloss * 1e9)))
        first_hand = add(points, faces, np.zeros((len(points), 2)), HAND, np.zeros(len(points)))
        self.hand_vertices = slice(first_hand, first_hand + len(points))
        self.extra = np.concatenate(extra)
        self.material = np.concatenate(material).astype(np.int32)
        self.triangles = np.ascontiguousarray(np.concatenate(triangles), np.int32)
        self.uv = np.ascontiguousarray(np.concatenate(uv), np.float32)
        pages = np.full(16, -1, np.int32)
        for kind in range(MATERIAL_COUNT):
            pages[kind] = -1 - kind
        pages[0], pages[1], pages[2] = FACE_PAGE, HEAD_PAGE, EYE_PAGE
        pages[TORSO], pages[HAIR] = TORSO_PAGE, HAIR_PAGE
        self.page = pages[self.material]
        self.flat = self.style.flat.copy()
        if self.style.glasses is not None:
            self.flat[GLASSES] = self.style.glasses[0]
        self.two_sided = np.isin(self.material, (HAIR, GLASSES, HAND))
        self.hand_triangles = self.material == HAND
        neutral = self.person.neutral
        height = neutral[:, 1]
        self.follow = np.concatenate([smoothstep(-17.0, -8.5, height), *follow]).astype(np.float32)
        self._eye_uv()
        inside = np.zeros(count, bool)
        for name in ('mouth_socket', 'gums_tongue', 'teeth'):
            inside[model.part_vertices[name]] = True
        self.inside = inside
        self.inner_triangles = np.isin(self.material, (3, 5, 6))

    def _lash_opacity(self, v: F32) -> F32:
        """(T, 3) opacity of the overlapping lash strips: fades from the lid; few below the eye."""
        model = self.person.model
        lids = [v for side in SIDES for path in model.lid_loops[side] for v in path]
        distance, _ = cKDTree(model.neutral[lids]).query(model.neutral[self.lashes].reshape(-1, 3))
        reach = distance.reshape(-1, 3)
        upper = 0.75 * np.exp(-((reach / 0.42) ** 2))
        lower = 0.16 * np.exp(-((reach / 0.22) ** 2))
        return np.where(v.mean(1, keepdims=True) > 0.5, upper, lower).astype(np.float32)

    def _torso(self, add) -> None:  # type: ignore[no-untyped-def]
        heights = np.array([-14.8, -16.3, -17.8, -19.5, -21.5, -25, -32, -48.0])
        wide = np.array([7.6, 9.6, 12.6, 16.0, 18.6, 20.0, 20.5, 20.5])
        deep = np.array([6.6, 7.4, 8.2, 9.0, 9.6, 10.3, 11.0, 11.0])
        turn = np.linspace(0, 2 * np.pi, 49)[:-1]
        c, s = np.cos(turn), np.sin(turn)
        shape = 0.75
        x = np.sign(s) * np.abs(s) ** shape * wide[:, None]
        z = np.sign(c) * np.abs(c) ** shape * deep[:, None] - 1.8
        y = np.repeat(heights[:, None], 48, 1) - 1.0 * (c > 0) * c**2 * (heights[:, None] > -19)
        points = np.stack([x, y, z], -1).reshape(-1, 3)
        coordinates = np.stack(
            [0.5 + x / 60, 1 - (heights[:, None] + 48) / 40 + 0 * x], -1
        ).reshape(-1, 2)
        faces = _grid_triangles(8, 48, 0, closed=True)
        add(points, faces, np.clip(coordinates, 0.01, 0.99), TORSO, np.zeros(len(points)))

    def _long_hair(self, add) -> None:  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(int(self.style.hair_fall * 1e6))
        front = np.deg2rad(rng.uniform(66, 84))
        turn = np.linspace(front, 2 * np.pi - front, 61)
        rows = 18
        at = np.linspace(0, 1, rows)[:, None]
        top, bottom = 7.0, -4.0 - self.style.hair_fall
        y = top + (bottom - top) * at + 0 * turn
        swell = np.interp(
            at[:, 0], [0, 0.15, 0.4, 1], [0.90, 1.03, 1.05, rng.uniform(0.95, 1.15)]
        )[:, None]
        wave = 0.25 * np.sin(turn * rng.integers(9, 16) + 5 * at + rng.uniform(0, 6)) * (0.3 + at)
        wave = wave + 0.2 * np.sin(turn * rng.integers(23, 31) + 3 * at)
        lift = 0.9 + wave
        x = (8.2 + lift) * swell * np.sin(turn)
        z = (8.6 + lift) * swell * np.cos(turn) - 1.0
        points = np.stack([x, y, z], -1).reshape(-1, 3)
        points = self._fit(points)
        coordinates = np.stack([turn / (2 * np.pi) + 0 * at, 1 - at + 0 * turn], -1).reshape(-1, 2)
        weight = smoothstep(-24.0, -4.0, y).reshape(-1) * 0.8 + 0.2 * smoothstep(
            -12.0, 4.0, y
        ).reshape(-1)
        add(points, _grid_triangles(rows, 61, 0), np.clip(coordinates, 0.01, 0.99), HAIR, weight)

    def _fringe(self, add) -> None:  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(int(self.style.fringe * 1e6))
        columns, rows = 41, 7
        arc = np.linspace(-8.6, 8.6, columns)
        low = (
            rng.uniform(6.2, 8.2)
            + 0.5 * np.sin(arc * rng.uniform(2, 5) + rng.uniform(0, 6)) * 0.4
            - 0.006 * arc**2
        )
        low = low + rng.normal(0, 0.12, columns)
        at = np.linspace(0, 1, rows)[:, None]
        high = 11.2 - 0.03 * arc**2
        y = high * (1 - at) + low * at
        vertices, weights = self.atlas.on_mesh(
            np.stack([arc + 0 * y, y], -1).reshape(-1, 2).astype(np.float32)
        )
        on = (self.person.neutral[vertices] * weights[..., None]).sum(1)
        out = on - np.array([0, 2.0, 0.0])
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        thick = (0.9 - 0.45 * at + 0 * arc).reshape(-1, 1)
        points = on + out * thick
        coordinates = np.stack([arc / 20 + 0.5 + 0 * at, 1 - 0.4 * at + 0 * arc], -1).reshape(
            -1, 2
        )
        add(
            points,
            _grid_triangles(rows, columns, 0),
            np.clip(coordinates, 0.01, 0.99),
            HAIR,
            np.ones(len(points)),
        )

    def _fit(self, points: F32) -> F32:
        """Scales extras from the mean head to this person's."""
        model = self.person.model
        skin = slice(0, self.atlas.skin_count)
        high = model.neutral[skin, 1] > 0
        mean, own = model.neutral[skin][high], self.person.neutral[skin][high]
        scale = (np.abs(own).max(0) / np.abs(mean).max(0)).astype(np.float32)
        return points * np.array([scale[0], 1.0, scale[2]])

    def _glasses(self, add) -> None:  # type: ignore[no-untyped-def]
        assert self.style.glasses is not None
        _, thick, half_w, half_h, power, _ = self.style.glasses
        neutral, ids = self.person.neutral, self.person.model.landmarks68
        bridge = neutral[ids[27]]
        turn = np.linspace(0, 2 * np.pi, 33)[:-1]
        forward = float(max(bridge[2] + 0.35, neutral[ids[[19, 24]]][:, 2].max() + 0.45))
        for side in (-1, 1):
            eye = self.person.eyes['Left' if side > 0 else 'Right'].centre
            c, s = np.cos(turn), np.sin(turn)
            x = eye[0] + side * 0.15 + half_w * np.sign(c) * np.abs(c) ** (2 / power)
            y = eye[1] - 0.35 + half_h * np.sign(s) * np.abs(s) ** (2 / power)
            z = forward - 0.028 * x**2
            rim = np.stack([x, y, z], 1)
            points, faces = _tube(rim, thick, True)
            add(points, faces, np.zeros((len(points), 2)), GLASSES, np.ones(len(points)))
            lens = np.vstack([rim, rim.mean(0, keepdims=True)]).astype(np.float32)
            fan = np.array([(i, (i + 1) % 32, 32) for i in range(32)], np.int32)
            first = add(lens, np.zeros((0, 3), np.int32), np.zeros((33, 2)), GLASSES, np.ones(33))
            self.lenses = np.vstack([self.lenses, fan + first])
            outer = rim[int(np.argmax(side * rim[:, 0] + 0.3 * rim[:, 1]))]
            ear = np.array(
                [
                    side
                    * (
                        np.abs(
                            neutral[:, 0][: self.atlas.skin_count][
                                np.abs(neutral[: self.atlas.skin_count, 1] - 3) < 1
                            ]
                        ).max()
                        - 0.35
                    ),
                    3.4,
                    1.5,
                ]
            )
            hinge = outer + np.array([side * 0.6, 0.1, -0.7])
            arm = np.vstack(
                [outer, hinge, hinge * 0.5 + ear * 0.5 + np.array([side * 0.3, 0, 0]), ear]
            )
            points, faces = _tube(arm.astype(np.float32), thick * 0.9, False)
            add(points, faces, np.zeros((len(points), 2)), GLASSES, np.ones(len(points)))
        left, right = (
            self.person.eyes['Right'].centre[0] - 0.15 + half_w,
            self.person.eyes['Left'].centre[0] + 0.15 - half_w,
        )
        across = np.linspace(left, right, 7)
        middle = np.stack(
            [
                across,
                np.full(7, bridge[1] + 0.15) + 0.25 * (1 - ((across) / max(right, 0.3)) ** 2),
                np.full(7, forward + 0.1),
            ],
            1,
        )
        points, faces = _tube(middle.astype(np.float32), thick, False)
        add(points, faces, np.zeros((len(points), 2)), GLASSES, np.ones(len(points)))

    def _eye_uv(self) -> None:
        """Texture coordinates of the eyeballs by angle from the optical axis."""
        for side in SIDES:
            eye = self.person.eyes[side]
            rows = self.material == 2
            corner = self.triangles[rows]
            mine = (corner >= eye.vertices.start).all(1) & (corner < eye.vertices.stop).all(1)
            away = self.person.neutral[corner[mine]] - eye.centre
            away /= np.linalg.norm(away, axis=-1, keepdims=True) + 1e-9
            angle = np.arccos(np.clip(away @ eye.axis, -1, 1))
            right = np.cross([0.0, 1.0, 0.0], eye.axis)
            right /= np.linalg.norm(right)
            up = np.cross(eye.axis, right)
            turn = np.arctan2(away @ up, away @ right)
            reach = np.clip(angle / EYE_PAGE_ANGLE, 0, 0.98) * 0.5
            place = np.flatnonzero(rows)[mine]
            self.uv[place, :, 0] = 0.5 + reach * np.cos(turn)
            self.uv[place, :, 1] = 0.5 + reach * np.sin(turn)

    def head(self, weights: F32) -> F32:
        """All vertices in head coordinates for an expression."""
        moved = self.person.deform(weights)
        moved += self.lift
        return np.concatenate([moved, self.extra])

    def pose(self, points: F32, pose: Pose, hand: F32 | None = None) -> F32:
        """Head coordinates to camera space; the torso stays behind when the head turns.

        Args:
            points: (n, 3) of `head`.
            pose: of the head.
            hand: (4, 4) from the hand to the unturned head, see `random_hand`.
        """
        place = np.array([pose.x, pose.y, pose.z], np.float32)
        turned = (points - PIVOT) @ pose.rotation.T + PIVOT
        out = points + self.follow[: len(points), None] * (turned - points) + place
        if hand is not None:
            out[self.hand_vertices] = (
                points[self.hand_vertices] @ hand[:3, :3].T + hand[:3, 3] + place
            )
        return out.astype(np.float32)


@dataclass
class Rendered:
    """A drawn frame and what its labels need.

    Attributes:
        image: (h, w, 3) float32 BGR, gamma-encoded 0..1, background already behind it.
        cover: (h, w) share of each pixel that shows the person.
        ids, nearest: the sample buffers (2h, 2w).
        screen, inverse_depth: vertices as drawn, in samples.
        landmarks: (98, 2) pixels (pixel centres at +0.5).
        visible: (98,) bool.
    """

    image: F32
    cover: F32
    ids: NDArray[np.int32]
    nearest: F32
    screen: F32
    inverse_depth: F32
    landmarks: F32
    visible: NDArray[np.bool_]


def place_landmarks(
    actor: Actor, weights: F32, pose: Pose, camera: Camera, points: F32 | None = None
) -> F32:
    """(98, 3) landmarks in camera space."""
    posed = actor.pose(actor.head(weights), pose) if points is None else points
    pupils = np.stack([actor.person.pupil(weights, side) for side in ('Right', 'Left')])
    pupils = (
        (pupils - PIVOT) @ pose.rotation.T + PIVOT + np.array([pose.x, pose.y, pose.z], np.float32)
    )
    return ground_truth.landmarks3(
        actor.rig, posed, pupils.astype(np.float32), camera.project, pose.roll
    )


def crop_camera(
    actor: Actor,
    weights: F32,
    pose: Pose,
    size: int,
    margin: float = 1.25,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Camera:
    """The camera that sees the canonical face region: the landmarks' box, square, times 1.25."""
    unit = Camera(1.0, 0.0, 0.0, 1, 1)
    flat = unit.project(place_landmarks(actor, weights, pose, unit))
    low, high = flat.min(0), flat.max(0)
    side = float((high - low).max()) * margin
    centre = (low + high) / 2 + np.array(shift) * side
    focal = size / side
    return Camera(focal, size / 2 - centre[0] * focal, size / 2 - centre[1] * focal, size, size)


def _light(
    actor: Actor, head: F32, posed: F32, normals: F32, pose: Pose, lights: Lights
) -> tuple[F32, F32]:
    """Diffuse and highlight per vertex."""
    atlas, style, person = actor.atlas, actor.style, actor.person
    skin, count = atlas.skin_count, len(person.neutral)
    total = len(head)
    ambient = np.full(total, 0.55, np.float32)
    ambient[:skin] = 0.25 + 0.75 * np.clip(atlas.ambient * 1.25, 0, 1)
    gloss = np.zeros(total, np.float32)
    gloss[:skin] = style.gloss * (1 - 0.8 * style.hair_cover[:skin])
    wet = np.zeros(total, np.float32)
    wet[person.model.part_vertices['teeth']] = 0.08
    shadow = np.ones((len(lights.directions), total), np.float32)
    for k, (direction, softness) in enumerate(
        zip(lights.directions, lights.softness, strict=True)
    ):
        share = np.exp(softness * (atlas.directions @ (pose.rotation.T @ direction) - 1)).astype(
            np.float32
        )
        shadow[k, :skin] = atlas.visible @ (share / share.sum())
    light, shine = light_vertices(
        posed,
        normals,
        ambient,
        gloss,
        wet,
        shadow,
        lights.directions,
        lights.colours,
        lights.sky,
        lights.ground,
        np.array([0.30, 0.17, 0.12], np.float32),
    )
    # Inside the mouth light comes through the lips only.
    lips = head[person.model.landmarks68[[62, 66]]]
    opening = float(np.clip((lips[0, 1] - lips[1, 1]) / 1.6, 0, 1))
    deep = np.clip((head[:count][actor.inside, 2] - (lips[:, 2].mean() - 4.5)) / 4.2, 0, 1)
    light[:count][actor.inside] = (light[:count][actor.inside] * 0.4 + 0.25 * lights.sky) * (
        deep**1.5 * (0.35 + 0.65 * opening)
    )[:, None]
    # Teeth catch what falls on the lips, whatever the shadow of the closed mouth says.
    teeth = person.model.part_vertices['teeth']
    near = light[person.model.landmarks68[48:60]].mean(0)
    front = np.clip((head[teeth, 2] - (lips[:, 2].mean() - 3.0)) / 2.2, 0, 1)
    light[teeth] = near * (0.12 + 0.8 * front**1.5)[:, None] * (0.55 + 0.45 * opening)
    shine[:count][actor.inside] *= (deep**2 * opening)[:, None]
    # The upper lid and the corners shade the eyeball.
    for side in SIDES:
        eye = person.eyes[side]
        upper, lower = actor.person.model.lid_loops[side]
        rim = head[upper]
        order = np.argsort(rim[:, 0])
        points = head[eye.vertices]
        edge = np.interp(points[:, 0], rim[order, 0], rim[order, 1])
        under = edge - points[:, 1]
        dim = 0.45 + 0.55 * smoothstep(-0.1, 0.5, under)
        sides = np.abs(points[:, 0] - rim[:, 0].mean()) / (np.ptp(rim[:, 0]) / 2)
        dim = dim * (1 - 0.35 * smoothstep(0.6, 1.05, sides))
        mean = light[upper].mean(0) * 0.5 + light[lower].mean(0) * 0.5
        light[eye.vertices] = (0.35 * light[eye.vertices] + 0.65 * mean) * dim[:, None]
    return light, shine


def _catchlights(
    canvas: F32,
    actor: Actor,
    weights: F32,
    pose: Pose,
    camera: Camera,
    ids: NDArray[np.int32],
    lights: Lights,
) -> None:
    """Small mirror images of the lights on the corneas."""
    height, width = ids.shape
    for side in SIDES:
        eye = actor.person.eyes[side]
        place = np.array([pose.x, pose.y, pose.z], np.float32)
        centre = pose.rotation @ (eye.centre - PIVOT) + PIVOT + place
        view = -centre / np.linalg.norm(centre)
        pupil = pose.rotation @ (actor.person.pupil(weights, side) - PIVOT) + PIVOT + place
        for direction, colour in zip(lights.directions[:2], lights.colours[:2], strict=True):
            half = view + direction
            half /= np.linalg.norm(half) + 1e-6
            # The cornea is a smaller ball in front of the eye's centre.
            spot = pupil + (half - view) * 0.75 + view * 0.1
            at = camera.project(spot[None])[0] * 2
            radius = 0.11 * camera.focal / -spot[2] * 2
            x0, y0 = int(at[0] - 3 * radius), int(at[1] - 3 * radius)
            for y in range(max(y0, 0), min(y0 + int(6 * radius) + 2, height)):
                for x in range(max(x0, 0), min(x0 + int(6 * radius) + 2, width)):
                    t = ids[y, x]
                    if t >= 0 and actor.material[t] == 2:
                        near = ((x + 0.5 - at[0]) ** 2 + (y + 0.5 - at[1]) ** 2) / radius**2
                        canvas[y, x] += colour * 0.9 * np.exp(-(near**1.5))


def render(
    actor: Actor,
    weights: F32,
    pose: Pose,
    camera: Camera,
    lights: Lights,
    background: F32,
    exposure: float = 0.9,
    hand: F32 | None = None,
) -> Rendered:
    """Draws one frame.

    Args:
        actor: who.
        weights: (55,) expression.
        pose: where the head is.
        camera: picture size and projection.
        lights: light set.
        background: (h, w, 3) linear RGB.
        exposure: factor on linear light.
        hand: (4, 4) place of a hand before the face, see `random_hand`; None for no hand.
    """
    head = actor.head(weights)
    posed = actor.pose(head, pose, hand)
    normals = vertex_normals(posed, actor.triangles)
    inverse_depth = (1.0 / np.maximum(-posed[:, 2], 1.0)).astype(np.float32)
    screen = camera.project(posed) * np.float32(2)
    height, width = camera.height * 2, camera.width * 2
    lips = head[actor.person.model.landmarks68[[61, 62, 63, 65, 66, 67]], 1]
    gap = float((lips[:3] - lips[:2:-1]).max())
    use = np.ones(len(actor.triangles), bool)
    if gap < -0.2:
        use &= ~actor.inner_triangles
    if hand is None:
        use &= ~actor.hand_triangles
    picked = np.flatnonzero(use)
    bias = np.ones(len(picked), np.float32)
    bias[actor.material[picked] == 2] = 1 - EYE_BIAS_CM / -pose.z
    ids, nearest = rasterise(
        screen,
        inverse_depth,
        actor.triangles[picked],
        actor.two_sided[picked],
        bias,
        height,
        width,
    )
    ids = np.where(ids >= 0, picked[np.maximum(ids, 0)], -1).astype(np.int32)
    light, shine = _light(actor, head, posed, normals, pose, lights)
    linear = np.repeat(np.repeat(background / np.float32(exposure), 2, 0), 2, 1)
    shade(
        ids,
        screen,
        inverse_depth,
        actor.triangles,
        actor.uv,
        actor.page,
        actor.flat,
        actor.style.textures,
        DECODE,
        light,
        shine,
        linear,
    )
    _catchlights(linear, actor, weights, pose, camera, ids, lights)
    lash_light = np.tile(np.array([0.012, 0.009, 0.008], np.float32), (len(actor.lashes), 1))
    # Lashes are thinner than a sample: tested a little nearer so that their roots are not lost.
    blend_layer(
        screen,
        inverse_depth * np.float32(1 + 0.08 / -pose.z),
        actor.lashes,
        actor._lash_alpha * np.float32(actor.style.lash_alpha),
        lash_light,
        nearest,
        linear,
    )
    if len(actor.lenses):
        assert actor.style.glasses is not None
        tint = np.float32(actor.style.glasses[5])
        glare = (lights.sky * 0.12 if tint < 0.5 else lights.sky * 0.02).astype(np.float32)
        blend_layer(
            screen,
            inverse_depth,
            actor.lenses,
            np.full((len(actor.lenses), 3), tint, np.float32),
            np.tile(glare, (len(actor.lenses), 1)).astype(np.float32),
            nearest,
            linear,
        )
    image = np.empty((camera.height, camera.width, 3), np.float32)
    cover = np.empty((camera.height, camera.width), np.float32)
    resolve(linear, ids, exposure, image, cover)
    image = image ** np.float32(1 / 2.2)
    points = place_landmarks(actor, weights, pose, camera, posed)
    landmarks = camera.project(points)
    return Rendered(
        image,
        cover,
        ids,
        nearest,
        screen,
        inverse_depth,
        landmarks,
        _seen(landmarks, points, nearest),
    )


def _seen(landmarks: F32, points: F32, nearest: F32) -> NDArray[np.bool_]:
    height, width = nearest.shape
    visible = np.zeros(len(landmarks), bool)
    for i, ((x, y), point) in enumerate(zip(landmarks * 2, points, strict=True)):
        x0, x1 = max(int(x) - 2, 0), min(int(x) + 3, width)
        y0, y1 = max(int(y) - 2, 0), min(int(y) + 3, height)
        if x0 >= x1 or y0 >= y1:
            continue
        depth = 1 / np.maximum(nearest[y0:y1, x0:x1], 1e-6)
        visible[i] = bool((depth > -point[2] - 0.5).any())
    return visible


def flow_between(actor: Actor, first: Rendered, second: Rendered) -> tuple[F32, U8]:
    """Exact forward optical flow.

    Returns:
        (h, w, 2) pixels, 0 on the background; (h, w) uint8: 1 where a surface point of the person
        is seen in both frames, 2 where the still background is, 0 where the flow must not be used.
    """
    height, width = first.ids.shape
    flow = np.zeros((height, width, 2), np.float32)
    state = np.zeros((height, width), np.uint8)
    sample_flow(
        first.ids,
        first.screen,
        first.inverse_depth,
        actor.triangles,
        second.screen,
        second.inverse_depth,
        second.nearest,
        flow,
        state,
    )
    out = np.zeros((height // 2, width // 2, 2), np.float32)
    seen = np.zeros((height // 2, width // 2), np.uint8)
    average_flow(flow, state, first.nearest, out, seen)
    still = (first.cover == 0) & (
        cv2.dilate((second.cover > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    )
    seen[still] = 2
    return out, seen


__all__ = [
    'Actor',
    'Camera',
    'Lights',
    'Pose',
    'Rendered',
    'crop_camera',
    'flow_between',
    'render',
    'unroll',
]
