r"""Writes shards of rendered faces with exact labels.

    python -m face_renderer.generate --kind stills --out data/renders/stills \
        --count 6000 --size 128 --seed 1

Shards are `<out>/<kind>-<number>.npz`, uncompressed numpy archives (`np.load(path)[key]`), N rows
each. Pictures are uint8 BGR. Positions are pixels with the top left corner of the picture at
(0, 0), so the centre of the first pixel is (0.5, 0.5); x is column 0 of a point.

Both kinds:
    image            (N, s, s, 3) uint8 BGR
    landmarks98      (N, 98, 2) float32 px, WFLW order (outside the picture where the face is cut)
    visibility       (N, 98) uint8, 1 = seen (not behind the head, glasses, hair or an occluder)
    coefficients     (N, 55) float32, expression weights in the order of `coefficient_names`
    blendshapes      (N, 52) float32, the same in the names and order of the real clips' labels
    head_pose        (N, 4, 4) float32 head to camera [cm], x right, y up, z to the camera
    euler            (N, 3) float32 yaw to the subject's left, pitch up, roll counter-clockwise
                     as seen [rad]
    actor            (N,) int32, same number = same person and look
    focal_px         (N,) float32
    kind, seed, first, coefficient_names, blendshape_names: of the shard
Kind `pairs` adds (two frames of one sequence, same crop, same camera):
    next_image       (N, s, s, 3) uint8 BGR
    flow             (N, s, s, 2) float16 px: the point at p in image is at p + flow in next_image
    flow_valid       (N, s, s) uint8: 1 surface of the person seen in both, 2 still background
                     seen in both (moved by camera shake where there is any), 0 do not use
    next_landmarks98, next_visibility, next_coefficients, next_blendshapes, next_head_pose,
    next_euler
    gap              (N,) int32 frames of 1/30 s between the two
With --frames F > 2 each sequence gives F - 1 consecutive rows; `sequence` and `step` (N,) say
which.

Shards that are there already with the same settings are kept: an interrupted run goes on.
An item depends on --seed and its number only: the same command of the same version writes the
same items, whatever --workers is.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from pathlib import Path

for _name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(_name, '1')

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from face_renderer import (  # noqa: E402
    effects,
    ground_truth,
    sequence,
)
from face_renderer.appearance import Atlas, make_style  # noqa: E402
from face_renderer.face_model import FaceModel, Person  # noqa: E402
from face_renderer.scene import (  # noqa: E402
    Actor,
    Lights,
    Pose,
    Rendered,
    crop_camera,
    flow_between,
    random_hand,
    render,
)
from kf_imitation.errors import KfImitationError  # noqa: E402

IDENTITY_SCALE = 0.85
ITEMS_PER_ACTOR = 8
PAIR_GAPS = (1, 1, 1, 2, 2, 3, 4, 6)
Row = dict[str, NDArray[np.generic] | int | float]


class Studio:
    """Makes items; keeps the model, the atlas and the last actor."""

    def __init__(self, model_path: Path | None, seed: int) -> None:
        self.model = FaceModel.load(model_path)
        self.atlas = Atlas(self.model)
        self.seed = seed
        self._actor: tuple[int, Actor] | None = None

    def actor(self, number: int) -> Actor:
        """The actor of that number (same seed, same person and look)."""
        if self._actor is None or self._actor[0] != number:
            rng = np.random.default_rng([self.seed, 1, number])
            identity = np.clip(rng.standard_normal(100), -2.2, 2.2) * IDENTITY_SCALE
            person = Person(self.model, identity.astype(np.float32))
            self._actor = number, Actor(person, make_style(self.atlas, rng), self.atlas)
        return self._actor[1]

    def _labels(
        self, drawn: Rendered, weights: NDArray[np.float32], pose: Pose, prefix: str = ''
    ) -> Row:
        return {
            prefix + 'landmarks98': drawn.landmarks,
            prefix + 'visibility': drawn.visible.astype(np.uint8),
            prefix + 'coefficients': weights,
            prefix + 'blendshapes': ground_truth.to_blendshapes(weights, self.model),
            prefix + 'head_pose': pose.matrix,
            prefix + 'euler': np.array([pose.yaw, pose.pitch, pose.roll], np.float32),
        }

    def still(self, index: int, size: int) -> Row:
        """One picture with landmarks."""
        number = index // ITEMS_PER_ACTOR
        actor = self.actor(number)
        rng = np.random.default_rng([self.seed, 2, index])
        weights = sequence.random_expression(self.model, rng)
        distance = float(rng.uniform(38, 130))
        pose = Pose(
            yaw=float(np.clip(rng.normal(0, 0.36), -0.85, 0.85)),
            pitch=float(np.clip(rng.normal(0, 0.17), -0.5, 0.5)),
            roll=float(rng.normal(0, 0.17)),
            x=float(rng.uniform(-0.25, 0.25) * distance),
            y=float(rng.uniform(-0.2, 0.2) * distance),
            z=-distance,
        )
        shift = (float(rng.normal(0, 0.03)), float(rng.normal(0, 0.03)))
        camera = crop_camera(
            actor, weights, pose, size, float(1.25 * np.exp(rng.normal(0, 0.07))), shift
        )
        lights = Lights.random(rng)
        drawn = render(
            actor,
            weights,
            pose,
            camera,
            lights,
            effects.background(rng, size, size),
            exposure(actor, lights, rng),
            random_hand(actor, rng) if rng.random() < 0.14 else None,
        )
        if rng.random() < 0.08:
            drawn.visible &= ~effects.occlude(drawn.image, drawn.landmarks, rng)
        image = effects.CameraEffects.random(rng, size).apply(drawn.image, rng)
        return {
            'image': image,
            'actor': number,
            'focal_px': camera.focal,
            **self._labels(drawn, weights, pose),
        }

    def pairs(self, index: int, size: int, frames: int) -> list[Row]:
        """F - 1 rows of one sequence."""
        number = index // ITEMS_PER_ACTOR
        actor = self.actor(number)
        rng = np.random.default_rng([self.seed, 3, index])
        gap = int(rng.choice(PAIR_GAPS))
        count = (frames - 1) * gap + 1
        distance = float(rng.uniform(40, 110))
        timeline = sequence.random_timeline(self.model, rng, count + 45, distance=distance)
        first = int(rng.integers(0, 45))
        picks = [first + i * gap for i in range(frames)]
        place = np.array([rng.uniform(-0.2, 0.2), rng.uniform(-0.15, 0.15)]) * distance
        poses = [
            Pose(p.yaw, p.pitch, p.roll, p.x + float(place[0]), p.y + float(place[1]), p.z)
            for p in (timeline.poses[i] for i in picks)
        ]
        shift = (float(rng.normal(0, 0.04)), float(rng.normal(0, 0.04)))
        margin = float(1.25 * np.exp(rng.normal(0, 0.09)))
        camera = crop_camera(actor, timeline.weights[picks[0]], poses[0], size, margin, shift)
        lights = Lights.random(rng)
        wide = effects.background(rng, size + 32, size + 32)
        shake = (
            rng.normal(0, 0.6 * gap, (frames, 2)).cumsum(0)
            if rng.random() < 0.3
            else np.zeros((frames, 2))
        )
        shake = np.clip(shake - shake[:1], -15, 15)
        light = exposure(actor, lights, rng)
        flicker = 1 + (rng.normal(0, 0.03, frames) if rng.random() < 0.3 else np.zeros(frames))
        hands = _hand_track(actor, rng, frames, gap) if rng.random() < 0.1 else [None] * frames
        drawn: list[Rendered] = []
        for i, pick in enumerate(picks):
            centre = (size / 2 + 16 - shake[i, 0] - 0.5, size / 2 + 16 - shake[i, 1] - 0.5)
            behind = cv2.getRectSubPix(wide, (size, size), (float(centre[0]), float(centre[1])))
            drawn.append(
                render(
                    actor,
                    timeline.weights[pick],
                    poses[i],
                    camera,
                    lights,
                    behind,
                    light * float(flicker[i]),
                    hands[i],
                )
            )
        faults = effects.CameraEffects.random(rng, size)
        images = [faults.apply(d.image, rng) for d in drawn]
        if rng.random() < 0.25 and size % 2 == 0:
            images = effects.h264(images, int(rng.integers(20, 38)))
        rows: list[Row] = []
        for i in range(frames - 1):
            flow, valid = flow_between(actor, drawn[i], drawn[i + 1])
            moved = (shake[i + 1] - shake[i]).astype(np.float32)
            flow[drawn[i].cover == 0] = moved
            if np.abs(moved).max() > 0.5:
                valid[valid == 2] = 2 * _still_visible(drawn[i + 1], moved)[valid == 2]
            rows.append(
                {
                    'image': images[i],
                    'next_image': images[i + 1],
                    'flow': flow.astype(np.float16),
                    'flow_valid': valid,
                    'gap': gap,
                    'sequence': index,
                    'step': i,
                    'actor': number,
                    'focal_px': camera.focal,
                    **self._labels(drawn[i], timeline.weights[picks[i]], poses[i]),
                    **self._labels(
                        drawn[i + 1], timeline.weights[picks[i + 1]], poses[i + 1], 'next_'
                    ),
                }
            )
        return rows


def _hand_track(
    actor: Actor, rng: np.random.Generator, frames: int, gap: int
) -> list[NDArray[np.float32] | None]:
    """A hand over the face that rests or moves."""
    first = random_hand(actor, rng)
    step = rng.normal(0, 0.5, 3) * gap * rng.choice([0.0, 1.0])
    turn = rng.normal(0, 0.03) * gap
    track: list[NDArray[np.float32] | None] = []
    for i in range(frames):
        c, s = np.cos(turn * i), np.sin(turn * i)
        place = first.copy()
        place[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ first[:3, :3]
        place[:3, 3] += (step * i).astype(np.float32)
        track.append(place)
    return track


def _still_visible(following: Rendered, moved: NDArray[np.float32]) -> NDArray[np.uint8]:
    """1 where a background pixel moved by `moved` is still background in the following frame."""
    free = (
        cv2.dilate((following.cover > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    ).astype(np.float32)
    height, width = free.shape
    x, y = np.meshgrid(
        np.arange(width, dtype=np.float32) + moved[0],
        np.arange(height, dtype=np.float32) + moved[1],
    )
    return (cv2.remap(free, x, y, cv2.INTER_LINEAR, borderValue=0) > 0.99).astype(np.uint8)


def exposure(actor: Actor, lights: Lights, rng: np.random.Generator) -> float:
    """A factor that makes this skin under this light come out between dim and bright."""
    texture = actor.style.textures[0][200:320, 150:360].reshape(-1, 3).mean(0) / 255
    strength = (
        lights.sky * 0.6
        + (lights.colours * np.clip(lights.directions[:, 2:3], 0.15, 1)).sum(0) * 0.6
    )
    level = float(((texture**2.2) * strength).mean())
    # A camera meters half-way: dark skin stays darker than light skin.
    return float(
        rng.uniform(0.13, 0.28) * np.exp(rng.normal(0, 0.15)) / np.sqrt(max(level, 0.01) * 0.22)
    )


_studio: Studio | None = None


def _start(model_path: Path | None, seed: int) -> None:
    global _studio
    cv2.setNumThreads(1)
    _studio = Studio(model_path, seed)


def _shard(task: tuple[str, int, int, int, int, Path]) -> tuple[Path, int]:
    kind, first, count, size, frames, path = task
    assert _studio is not None
    rows: list[Row] = []
    for index in range(first, first + count):
        rows += (
            [_studio.still(index, size)]
            if kind == 'stills'
            else _studio.pairs(index, size, frames)
        )
    columns: dict[str, NDArray[np.generic]] = {}
    for key in rows[0]:
        values = [row[key] for row in rows]
        whole = isinstance(values[0], int)
        columns[key] = np.asarray(values, np.int32 if whole else None)
        if columns[key].dtype == np.float64:
            columns[key] = columns[key].astype(np.float32)
    temporary = path.with_suffix('.part.npz')
    np.savez(
        temporary,
        **columns,
        kind=np.array(kind),
        seed=np.array(_studio.seed),
        first=np.array(first),
        coefficient_names=np.array(_studio.model.expression_names),
        blendshape_names=np.array(ground_truth.BLENDSHAPE_NAMES),
    )
    temporary.replace(path)
    return path, len(rows)


def _finished(
    path: Path, kind: str, seed: int, task: tuple[str, int, int, int, int, Path]
) -> bool:
    """Whether a shard with these settings was written before (an interrupted run goes on)."""
    if not path.exists():
        return False
    with np.load(path) as data:
        return (
            str(data['kind']) == kind
            and int(data['seed']) == seed
            and int(data['first']) == task[1]
            and data['image'].shape[1] == task[3]
            and len(data['image']) == task[2] * (task[4] - 1 if kind == 'pairs' else 1)
        )


def contact_sheet(shards: list[Path], path: Path, columns: int = 12, rows: int = 8) -> None:
    """Draws pictures of the shards with their landmarks; pairs show flow next to the picture."""
    cells: list[NDArray[np.uint8]] = []
    wanted = columns * rows
    for shard in shards:
        with np.load(shard) as data:
            images, points, seen = data['image'], data['landmarks98'], data['visibility']
            flow = data['flow'].astype(np.float32) if 'flow' in data.files else None
            valid = data['flow_valid'] if 'flow' in data.files else None
        step = max(1, len(images) * len(shards) // wanted)
        for i in range(0, len(images), step):
            cell = cv2.resize(images[i], (192, 192), interpolation=cv2.INTER_LINEAR)
            scale = 192 / images.shape[1]
            if len(cells) % 2 == 1 or flow is not None:
                for (x, y), v in zip(points[i] * scale, seen[i], strict=True):
                    cv2.circle(
                        cell,
                        (round(float(x)), round(float(y))),
                        1,
                        (0, 255, 0) if v else (0, 0, 255),
                        -1,
                    )
            cells.append(cell)
            if flow is not None and valid is not None:
                angle, size = (
                    np.arctan2(flow[i, ..., 1], flow[i, ..., 0]),
                    np.hypot(flow[i, ..., 0], flow[i, ..., 1]),
                )
                hsv = np.stack(
                    [
                        (angle / np.pi + 1) * 90,
                        np.clip(size * 60, 0, 255),
                        np.where(valid[i] > 0, 255, 90),
                    ],
                    -1,
                )
                cells.append(
                    cv2.resize(
                        cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR),
                        (192, 192),
                        interpolation=cv2.INTER_NEAREST,
                    )
                )
    cells = cells[:wanted]
    while len(cells) % columns:
        cells.append(np.zeros((192, 192, 3), np.uint8))
    sheet = np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), sheet)


def main(arguments: list[str] | None = None) -> int:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog='python -m face_renderer.generate', description=(__doc__ or '').split('\n')[0]
    )
    parser.add_argument(
        '--out', type=Path, default=Path('data/renders'), help='folder of the shards'
    )
    parser.add_argument('--kind', choices=('pairs', 'stills'), default='pairs')
    parser.add_argument('--count', type=int, default=1000, help='items (sequences for pairs)')
    parser.add_argument('--size', type=int, default=128, help='picture side [px]')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--frames', type=int, default=2, help='frames of a sequence (kind pairs)')
    parser.add_argument('--workers', type=int, default=1, help='processes')
    parser.add_argument('--shard', type=int, default=250, help='items per shard')
    parser.add_argument(
        '--model',
        type=Path,
        default=None,
        help='the face model (default: $KF_FACE_MODEL or ../shared/data/faces)',
    )
    parser.add_argument(
        '--contact-sheet',
        type=Path,
        default=None,
        help='also draw a sheet of examples to this PNG',
    )
    options = parser.parse_args(arguments)
    if (
        options.count < 1
        or options.size < 32
        or options.frames < 2
        or options.workers < 1
        or options.shard < 1
    ):
        parser.error('count, workers and shard must be at least 1, size 32, frames 2')
    try:
        FaceModel.load(options.model)
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    tasks = []
    made: list[Path] = []
    for first in range(0, options.count, options.shard):
        path = options.out / f'{options.kind}-{first // options.shard:05d}.npz'
        tasks.append(
            (
                options.kind,
                first,
                min(options.shard, options.count - first),
                options.size,
                options.frames,
                path,
            )
        )
        if _finished(path, options.kind, options.seed, tasks[-1]):
            made.append(path)
            tasks.pop()
    if made:
        print(f'{len(made)} shards are there already and are kept')
    begun = time.perf_counter()
    rows = 0
    with multiprocessing.get_context('spawn').Pool(
        options.workers, _start, (options.model, options.seed)
    ) as pool:
        for path, count in pool.imap(_shard, tasks):
            made.append(path)
            rows += count
            spent = time.perf_counter() - begun
            each_ms = 1e3 * spent / rows
            print(
                f'{path}: {count} rows, {rows} in {spent:.0f} s ({each_ms:.0f} ms each)',
                flush=True,
            )
    if options.contact_sheet:
        contact_sheet(sorted(made), options.contact_sheet)
        print(f'contact sheet: {options.contact_sheet}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
