"""Fit the networks that see frowns, pressed and rounded lips, lowered brows and wide eyes.

    .venv/bin/python -m training.landmarks.fit.clear [--people 85] [--write]

The labels of clips hardly know these expressions: the teacher calls a full rendered frown 0.06. Of
rendered people (face_renderer) they are known. So small networks are given the embeddings of the
keyframe model (FrameScore.embeddings), less what is usual for the person, and learn the weights of
the renders and, so that nothing is invented, the labels of the people in the clips, and nothing
behind dark glasses, masks and hands that are painted over them. Answers begin to count where, of
people left out, talk and covered faces stay below for all but 3 % of the time
(kf_imitation/expression/clear_expressions.py).

The table that is printed has, on people left out by folds, how many full and half rendered
expressions come through, and how large they are. Embeddings are kept in --cache, so that a run
that was cut goes on where it was; the people of benchmark/rendered_expressions.py are others.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from face_renderer import effects, sequence
from face_renderer.appearance import Atlas, make_style
from face_renderer.face_model import FaceModel, Person
from face_renderer.generate import exposure
from face_renderer.scene import Actor, Lights, Pose, crop_camera, render
from kf_imitation.data_types import CHANNELS, FaceRegion
from kf_imitation.evaluation.channel_labels import label_channels
from kf_imitation.evaluation.labels import load_labels
from kf_imitation.expression.clear_expressions import (
    CLEAR_CHANNELS,
    CLEAR_NS,
    EMBEDDING,
    LEAK,
    clear_answers,
    parts_of,
)
from kf_imitation.face.canonical_region import canonical_region
from kf_imitation.inference import OnnxModel, crop
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork
from training.landmarks.fit.clip_faces import faces_of
from training.landmarks.fit.size import UNSEEN, folds_of
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text

Array = NDArray[np.float64]
MODEL = 'keyframe_default'
PEOPLE, SIZE_PX = 85, 288
FRAMES = 450  # of a clip, at most
COVERED_EVERY, COVERED_WEIGHT = 15, 1.0  # of a clip's frames; against the clip itself
# What is asked for, by its first channel, as weights of the face model at full size.
FULL = {
    'mouth_frown_left': {'mouthFrown': 1.0},
    'lip_press': {'mouthPress': 0.8, 'mouthRollLower': 0.3, 'mouthRollUpper': 0.3},
    'brow_lower': {'browDown': 1.0},
    'eye_wide_left': {'eyeWide': 1.0},
    'mouth_pucker': {'mouthPucker': 1.0},
}
# Where a render shows it: the larger mean of both sides of these shapes over their full weight.
SHAPES = {
    'mouth_frown_left': (('mouthFrown', 1.0),),
    'lip_press': (('mouthPress', 0.8),),
    'mouth_pucker': (('mouthPucker', 1.0), ('mouthFunnel', 1.0)),
    'brow_lower': (('browDown', 1.0),),
    'eye_wide_left': (('eyeWide', 1.0),),
}
TALK = 0.15  # labels below this above the person's usual: they just talk
OFTEN, OFTEN_COVERED = 0.03, 0.03  # of the time in which an answer may still count
SELDOM = {'brow_lower': 0.01}  # instead of OFTEN: labels of real brows say more than renders do
LEAST_SPAN = 0.15  # between the answer that begins to count and the one that counts as 1
BOUND_FOLDS = 3
# The training. Embeddings are scaled by how far they vary.
HIDDEN, STEPS, BATCH, RATE, DECAY = 96, 6000, 192, 4e-3, 1e-4
DROPPED, NOISE, SCALE = 0.1, 0.075, 0.15
LARGE, LARGE_WEIGHT = 0.4, 2.5  # what is larger counts more, as it is rare
ABOUT = """
Networks that see clear expressions in embeddings, by python -m training.landmarks.fit.clear. The
weights (a line for each of 96 values, in it a number for each hidden unit) are in units of
weights_scale; least and full are the answers from which they count and which count as 1, in the
order of CLEAR_CHANNELS.
"""


class Frames(NamedTuple):
    """Frames of one person in order.

    Attributes:
        person: who it is.
        moved: (n, 2, 96) what embeddings of the mouth and the eyes differ from the usual.
        target: (n, 5) what is to be answered, in the order of ANSWERS.
        rendered: by us; else of a clip.
        unseen: the networks were not trained on them, and nothing is covered.
        rate_hz: of the frames of a clip.
        covered: eyes and mouth.
    """

    person: str
    moved: Array
    target: Array
    rendered: bool
    unseen: bool
    rate_hz: float
    covered: bool = False


ANSWERS = tuple(one[0] for answers in CLEAR_CHANNELS.values() for one in answers)


@dataclass(frozen=True)
class Studio:
    """What renders need.

    Attributes:
        model: of faces.
        atlas: of the model.
        network: whose embeddings are looked at.
    """

    model: FaceModel
    atlas: Atlas
    network: ChangeNetwork

    def look(self, image: NDArray[np.uint8], region: FaceRegion) -> NDArray[np.float32]:
        """Return the embeddings (288,) of a face."""
        self.network.compare(crop(image, region, self.network.crop_px))
        assert self.network.embeddings is not None
        return np.array(self.network.embeddings, np.float32)


def acts(model: FaceModel, rng: np.random.Generator) -> list[tuple[str, NDArray[Any]]]:
    """Return what a rendered person does: names and weights (55,). It begins with five rests."""

    def weights(named: dict[str, float], size: float = 1.0) -> NDArray[Any]:
        return size * sequence.to_weights(model, named)

    found = [('rest', np.zeros(len(model.expression_names)))] * 5
    for name, named in FULL.items():
        sizes = 1.0, 1.0, float(rng.uniform(0.5, 1.1)), float(rng.uniform(0.25, 0.7))
        found += [(name, weights(named, size)) for size in sizes]
    for _ in range(4):
        one, other = rng.choice(list(FULL), 2, replace=False)
        sizes = float(rng.uniform(0.3, 1)), float(rng.uniform(0.3, 1))
        found.append(('two', weights(FULL[one], sizes[0]) + weights(FULL[other], sizes[1])))
    for name in rng.choice(list(sequence.EXPRESSIONS), 10, replace=False):
        found.append(('other', weights(sequence.EXPRESSIONS[name], rng.uniform(0.4, 1.1))))
    for _ in range(8):
        viseme = sequence.VISEMES[int(rng.integers(len(sequence.VISEMES)))]
        found.append(('talk', weights(viseme, rng.uniform(0.4, 1.2))))
    for named, sizes in (
        ({'eyeBlink': 1.0}, (1.0, 0.6)),
        ({'mouthSmile': 1.0, 'cheekSquint': 0.4}, (1.0, 0.5)),
        ({'jawOpen': 1.0}, (0.8, 0.4)),
        ({'browInnerUp': 1.0, 'browOuterUp': 1.0}, (1.0, 0.5)),
    ):
        found += [('other', weights(named, size)) for size in sizes]
    for _ in range(4):
        yaw, pitch = rng.normal(0, 0.5), rng.normal(0, 0.5)
        found.append(('look', sequence.look(model, float(yaw), float(pitch))))
    return found + [('any', sequence.random_expression(model, rng)) for _ in range(8)]


def render_person(studio: Studio, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the embeddings (n, 288) and the weights (n, 55) of one invented person."""
    rng = np.random.default_rng([77, number])
    identity = np.clip(rng.standard_normal(100), -2.2, 2.2) * 0.85
    face = Person(studio.model, identity.astype(np.float32))
    actor = Actor(face, make_style(studio.atlas, rng), studio.atlas)
    lights = Lights.random(rng)
    light = exposure(actor, lights, rng)
    behind = effects.background(rng, SIZE_PX, SIZE_PX)
    sensor = _camera(rng)
    rest = rng.normal(0, 0.12), rng.normal(0, 0.08), rng.normal(0, 0.05)
    margin = rng.uniform(1.7, 2.1)
    seen, region, rows, kept = None, None, [], []
    for name, named in acts(studio.model, rng):
        weights = np.array(named, np.float64)
        sways = seen is not None
        if name not in ('look', 'any') and sways:
            yaw, pitch = rng.normal(0, 0.12), rng.normal(0, 0.1)
            weights = weights + sequence.look(studio.model, float(yaw), float(pitch))
        weights = sequence.limit(studio.model, weights.astype(np.float32))
        sway = sways * rng.normal(0, (0.06, 0.05, 0.03, 0.4, 0.3, 1.0))
        pose = Pose(*(np.array([*rest, 0.0, 0.0, -62.0]) + sway).tolist())
        if seen is None:
            seen = crop_camera(actor, weights, pose, SIZE_PX, margin)
        drawn = render(actor, weights, pose, seen, lights, behind, light)
        picture = sensor.apply(drawn.image, rng)
        if region is None:
            region = _disturbed(canonical_region(drawn.landmarks.astype(np.float32) - 0.5), rng)
        rows.append(studio.look(picture, region))
        kept.append(weights)
    return np.array(rows), np.array(kept, np.float32)


def _camera(rng: np.random.Generator) -> effects.CameraEffects:
    small = int(SIZE_PX * rng.uniform(0.4, 0.9)) if rng.random() < 0.4 else 0
    blur, noise = float(rng.uniform(0.2, 0.8)), float(rng.choice([0.004, 0.008, 0.015]))
    quality = int(rng.uniform(45, 95)) if rng.random() < 0.6 else 0
    gamma = float(np.exp(rng.normal(0, 0.1)))
    return effects.CameraEffects(small, blur, (0.0, 0.0), noise, quality, (1.0,) * 3, gamma, 0.0)


def _disturbed(region: FaceRegion, rng: np.random.Generator) -> FaceRegion:
    size = region.size * float(np.exp(rng.normal(0, 0.03)))
    x, y = rng.normal(0, 0.03, 2) * region.size + (region.size - size) / 2
    return FaceRegion(region.x + float(x), region.y + float(y), size)


def read_clip(
    folder: Path, stem: str, network: ChangeNetwork
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Return embeddings (n, 288), labelled channels (n, 19) and the frame rate of a clip."""
    labels = load_labels(folder / f'{stem}.npz')
    human = label_channels(labels.blendshapes, labels.names, labels.head_pose)
    rows, kept = [], []
    for index, frame, region in faces_of(folder / f'{stem}.mp4', min(FRAMES, len(human))):
        if not labels.valid[index]:
            continue
        network.compare(crop(frame.bgr, region, network.crop_px))
        assert network.embeddings is not None
        rows.append(np.array(network.embeddings, np.float32))
        kept.append(index)
    return np.array(rows), human[kept].astype(np.float32), float(labels.fps)


def read_covered(folder: Path, stem: str, network: ChangeNetwork) -> NDArray[np.float32]:
    """Return the embeddings (n, 288) of frames of a clip with eyes and mouth covered."""
    with np.load(folder / f'{stem}.npz') as labels:
        mesh = labels['landmarks_q'][..., :2].astype(np.float32) / 16
        valid = labels['valid']
    rng = np.random.default_rng(len(mesh))
    rows = []
    for index, frame, region in faces_of(folder / f'{stem}.mp4', min(FRAMES, len(mesh))):
        if not valid[index] or index % COVERED_EVERY:
            continue
        picture = cover_eyes(cover_mouth(frame.bgr, mesh[index], rng), mesh[index], rng)
        network.compare(crop(picture, region, network.crop_px))
        assert network.embeddings is not None
        rows.append(np.array(network.embeddings, np.float32))
    return np.array(rows, np.float32).reshape(-1, 3 * EMBEDDING)


def cover_mouth(
    bgr: NDArray[np.uint8], mesh: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Put a mask, an ellipse or fingers, often of skin colour, over a mouth.

    Args:
        bgr: (H, W, 3).
        mesh: (478, 2) points of the face [px].
        rng: what and where.
    """
    corners = mesh[[61, 291]]
    middle = corners.mean(axis=0) + rng.normal(0, 3, 2)
    width = max(np.ptp(corners[:, 0]), 0.35 * np.linalg.norm(mesh[33] - mesh[263]))
    along = corners[1] - corners[0]
    angle = np.degrees(np.arctan2(along[1], along[0])) + rng.normal(0, 15)
    hidden = np.zeros(bgr.shape[:2], np.float32)
    kind = rng.random()
    if kind < 0.3:
        outline = np.vstack([mesh[_JAW], mesh[[int(rng.choice((6, 197, 195, 5, 4)))]]])
        cv2.fillConvexPoly(hidden, cv2.convexHull(outline.astype(np.int32)), 1.0, cv2.LINE_AA)
    elif kind < 0.65:
        axes = int(width * rng.uniform(0.75, 1.3)), int(width * rng.uniform(0.5, 0.9))
        _ellipse(hidden, middle, axes, angle)
    else:
        turn = np.radians(rng.normal(0, 25) + 90 * (rng.random() < 0.5))
        ahead = np.array([np.cos(turn), np.sin(turn)])
        thick = rng.uniform(0.26, 0.36) * width
        for finger in range(4):
            knuckle = middle + np.array([-ahead[1], ahead[0]]) * (finger - 1.5) * thick
            ends = knuckle - 1.4 * width * ahead, knuckle + width * ahead
            start, end = (tuple(int(v) for v in place) for place in ends)
            cv2.line(hidden, start, end, 1.0, max(2, int(thick)), cv2.LINE_AA)
    return _painted(bgr, hidden, _skin(bgr, mesh, rng), rng)


def cover_eyes(
    bgr: NDArray[np.uint8], mesh: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Put dark glasses, or patches of skin colour, over both eyes; arguments as cover_mouth."""
    eyes = mesh[[33, 133]], mesh[[263, 362]]
    along = mesh[263] - mesh[33]
    width = float(np.mean([np.linalg.norm(eye[0] - eye[1]) for eye in eyes]))
    axes = width * rng.uniform(0.75, 1.15), width * rng.uniform(0.5, 0.85)
    angle, box = float(np.degrees(np.arctan2(along[1], along[0]))), rng.random() < 0.5
    hidden = np.zeros(bgr.shape[:2], np.float32)
    for eye in eyes:
        middle = eye.mean(axis=0) + np.array([0, width * rng.uniform(-0.05, 0.15)])
        if box:
            place = middle.tolist(), (2 * axes[0], 2 * axes[1]), angle
            cv2.fillConvexPoly(hidden, cv2.boxPoints(place).round().astype(np.int32), 1.0)
        else:
            _ellipse(hidden, middle, (int(axes[0]), int(axes[1])), angle)
    dark = rng.random() < 0.7
    colour = rng.uniform(5, 60) + rng.uniform(-4, 18, 3) if dark else _skin(bgr, mesh, rng)
    return _painted(bgr, hidden * rng.uniform(0.8, 1.0), colour, rng)


# Points of the mesh: from ear to ear along the chin.
_JAW = [
    234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361,
    323, 454,
]  # fmt: skip


def _ellipse(
    hidden: NDArray[np.float32], middle: NDArray[Any], axes: tuple[int, int], angle: float
) -> None:
    place = int(middle[0]), int(middle[1])
    cv2.ellipse(hidden, place, axes, float(angle), 0, 360, 1.0, -1, cv2.LINE_AA)


def _skin(
    bgr: NDArray[np.uint8], mesh: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[Any]:
    """A colour near that of a cheek, or now and then any."""
    if rng.random() < 0.25:
        return rng.uniform(20, 235, 3)
    cheek = mesh[int(rng.choice((50, 280)))]
    x, y = np.clip(cheek.astype(int), 3, (bgr.shape[1] - 4, bgr.shape[0] - 4))
    patch = bgr[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3)
    return np.asarray(patch.mean(axis=0) * rng.uniform(0.75, 1.2))


def _painted(
    bgr: NDArray[np.uint8],
    hidden: NDArray[np.float32],
    colour: NDArray[Any],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    slope = 1 + rng.normal(0, 0.2) * np.linspace(-1, 1, bgr.shape[1])[None, :, None]
    paint = colour * slope + rng.normal(0, rng.uniform(0.1, 4), bgr.shape)
    share = hidden[..., None]
    return np.clip(bgr * (1 - share) + paint * share, 0, 255).astype(np.uint8)


def rendered_people(count: int, cache: Path, face_model: Path | None) -> list[Frames]:
    """Render people, or find what was seen of them before."""
    cache.mkdir(parents=True, exist_ok=True)
    studio, found = None, []
    model = FaceModel.load(face_model)
    for number in range(count):
        kept = cache / f'person{number}.npz'
        if not kept.exists():
            if studio is None:
                network = ChangeNetwork(OnnxModel.load(MODEL, 1))
                studio = Studio(model, Atlas(model), network)
            embeddings, weights = render_person(studio, number)
            np.savez(kept, embeddings=embeddings, weights=weights)
        with np.load(kept) as file:
            seen, weights = parts_of(file['embeddings'].astype(np.float64)), file['weights']
        target = np.stack([_shown(model, weights, name) for name in ANSWERS], axis=1)
        moved = seen - np.median(seen[:5], axis=0)
        found.append(Frames(f'rendered {number}', moved, target, True, True, 0.0))
    return found


def _shown(model: FaceModel, weights: NDArray[np.float32], name: str) -> Array:
    """How far renders (n, 55) show an expression, (n,)."""
    shares = []
    for shape, full in SHAPES[name]:
        sides = [s for s in (shape, f'{shape}Left', f'{shape}Right') if s in model.index]
        shares.append(weights[:, [model.index[s] for s in sides]].mean(axis=1) / full)
    return np.max(shares, axis=0).astype(np.float64)


def people_of_clips(folder: Path, cache: Path) -> list[Frames]:
    """Read all train clips, or find what was seen of them before."""
    cache.mkdir(parents=True, exist_ok=True)
    with (folder / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    network, found = None, []
    for row in rows:
        kept = cache / f'{row["stem"]}.npz'
        if not kept.exists():
            network = network or ChangeNetwork(OnnxModel.load(MODEL, 1))
            embeddings, human, fps = read_clip(folder / 'train', row['stem'], network)
            np.savez(kept, embeddings=embeddings, human=human, fps=fps)
        with np.load(kept) as file:
            embeddings, human, fps = file['embeddings'], file['human'], float(file['fps'])
        if len(embeddings) < 30:
            continue
        kept = cache / f'{row["stem"]}_covered.npz'
        if not kept.exists():
            network = network or ChangeNetwork(OnnxModel.load(MODEL, 1))
            np.savez(kept, embeddings=read_covered(folder / 'train', row['stem'], network))
        with np.load(kept) as file:
            covered = parts_of(file['embeddings'].astype(np.float64))
        seen = parts_of(embeddings.astype(np.float64))
        columns = [[CHANNELS.index(channel) for channel in one]
                   for answers in CLEAR_CHANNELS.values() for one in answers]  # fmt: skip
        label = np.stack([human[:, one].mean(axis=1) for one in columns], axis=1)
        moved, target = seen - np.median(seen, axis=0), label - np.median(label, axis=0)
        unseen = row['stem'].startswith(UNSEEN)
        found.append(Frames(row['person'], moved, target.astype(np.float64), False, unseen, fps))
        if len(covered):
            nothing, moved = (
                np.zeros((len(covered), len(ANSWERS))),
                covered - np.median(seen, axis=0),
            )
            found.append(Frames(row['person'], moved, nothing, False, False, fps, True))
    return found


class Network:
    """The network of a part while it is trained: one hidden layer, by Adam on squared errors."""

    def __init__(self, people: Sequence[Frames], part: int, answers: list[int]) -> None:
        """Train.

        Args:
            people: rendered ones and those of clips, who make half of each batch each.
            part: 0 for the mouth, 1 for the eyes.
            answers: places in ANSWERS.
        """
        rng = np.random.default_rng(0)
        every = np.vstack([one.moved[:, part] for one in people])
        spread = every.std(axis=0) + 1e-6
        halves = [
            _Half([one for one in people if one.rendered == kind], part, answers, spread)
            for kind in (True, False)
        ]
        sizes = (EMBEDDING, HIDDEN), (HIDDEN, len(answers))
        self.layers = [
            rng.normal(0, np.sqrt(2 / EMBEDDING), sizes[0]), np.zeros(HIDDEN),
            rng.normal(0, np.sqrt(1 / HIDDEN), sizes[1]), np.zeros(len(answers)),
        ]  # fmt: skip
        first, second = ([np.zeros_like(layer) for layer in self.layers] for _ in range(2))
        for step in range(1, STEPS + 1):
            drawn = [half.draw(BATCH // 2, rng) for half in halves]
            x, y = (np.vstack(rows) for rows in zip(*drawn, strict=True))
            gradients = self._gradients(x, y, rng)
            for k, gradient in enumerate(gradients):
                first[k] = 0.9 * first[k] + 0.1 * gradient
                second[k] = 0.999 * second[k] + 0.001 * gradient**2
                mean, square = first[k] / (1 - 0.9**step), second[k] / (1 - 0.999**step)
                change = mean / (np.sqrt(square) + 1e-8) + DECAY * self.layers[k] * (k % 2 == 0)
                self.layers[k] = self.layers[k] - _rate(step) * change
        self.layers[0] = self.layers[0] / spread[:, None]

    def __call__(self, moved: Array) -> Array:
        """Return answers (n, A) to (n, 96)."""
        return clear_answers(self.layers, moved)

    def _gradients(self, x: Array, y: Array, rng: np.random.Generator) -> list[Array]:
        x = x * (1 + SCALE * rng.standard_normal((len(x), 1)))
        x = (x + NOISE * rng.standard_normal(x.shape)) * _kept(x, rng)
        weights, bias, last, last_bias = self.layers
        hidden = x @ weights + bias
        slope = np.where(hidden > 0, 1.0, LEAK) * _kept(hidden, rng)
        seen = hidden * slope
        error = 2 * (seen @ last + last_bias - y) * np.where(y > LARGE, LARGE_WEIGHT, 1.0) / len(x)
        back = error @ last.T * slope
        return [x.T @ back, back.sum(axis=0), seen.T @ error, error.sum(axis=0)]


class _Half:
    """Half of the batches: rendered people, or those of clips; people count alike."""

    def __init__(
        self, people: Sequence[Frames], part: int, answers: list[int], spread: Array
    ) -> None:
        self._x = np.vstack([one.moved[:, part] for one in people]) / spread
        self._y = np.vstack([one.target[:, answers] for one in people])
        chance = np.concatenate(
            [
                np.full(len(one.moved), (COVERED_WEIGHT if one.covered else 1.0) / len(one.moved))
                for one in people
            ]
        )
        self._reach = np.cumsum(chance / chance.sum())

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        chosen = np.searchsorted(self._reach, rng.random(count)).clip(0, len(self._x) - 1)
        return self._x[chosen], self._y[chosen]


def _kept(values: Array, rng: np.random.Generator) -> Array:
    return (rng.random(values.shape) > DROPPED) / (1 - DROPPED)


def _rate(step: int) -> float:
    rising = 0.1 * STEPS
    if step < rising:
        return RATE * step / rising
    return float(RATE * 0.5 * (1 + np.cos(np.pi * (step - rising) / (STEPS - rising))))


def answers_of(part: int) -> list[int]:
    """Return the places in ANSWERS of what a part's network answers."""
    counts = [len(answers) for answers in CLEAR_CHANNELS.values()]
    start = sum(counts[:part])
    return list(range(start, start + counts[part]))


def left_out(people: Sequence[Frames], folds: int) -> list[Array]:
    """Return the answers (n, 5) of each, by networks trained on people of other folds."""
    fold_of = {p: f % folds for p, f in folds_of([one.person for one in people]).items()}
    found = [np.zeros((len(one.moved), len(ANSWERS))) for one in people]
    for fold in range(folds):
        others = [one for one in people if fold_of[one.person] != fold]
        for part in range(len(CLEAR_CHANNELS)):
            network = Network(others, part, answers_of(part))
            for one, answers in zip(people, found, strict=True):
                if fold_of[one.person] == fold:
                    answers[:, answers_of(part)] = network(one.moved[:, part])
    return found


def bounds(people: Sequence[Frames], answers: Sequence[Array], k: int) -> tuple[float, float]:
    """Return from where an answer counts and where it counts as 1.

    Args:
        people: who was asked.
        answers: (n, 5) of each, left out of the training.
        k: place in ANSWERS.
    """
    talk, share, full, covered = [], [], [], []
    for one, answered in zip(people, answers, strict=True):
        if one.rendered:
            full.append(answered[one.target[:, k] > 0.95, k])
        elif one.covered:
            covered.append(answered[:, k])
        elif one.unseen:
            lasting = _lasting(answered[:, k], one.rate_hz)[one.target[:, k] < TALK]
            talk.append(lasting)
            share.append(np.full(len(lasting), 1 / len(one.moved)))
    values, weight = np.concatenate(talk), np.concatenate(share)
    order = np.argsort(-values)
    often = SELDOM.get(ANSWERS[k], OFTEN)
    reached = np.searchsorted(np.cumsum(weight[order]) / weight.sum(), often)
    hidden = float(np.quantile(np.concatenate(covered), 1 - OFTEN_COVERED))
    least = max(float(values[order][reached]), hidden)
    return least, max(float(np.median(np.concatenate(full))), least + LEAST_SPAN)


def _lasting(values: Array, rate_hz: float) -> Array:
    """The least of the last CLEAR_NS, as ClearExpressions takes it."""
    count = int(CLEAR_NS * 1e-9 * rate_hz) + 1
    before = np.concatenate([np.full(count - 1, values[0]), values])
    return np.lib.stride_tricks.sliding_window_view(before, count).min(axis=1)


def fitted(people: Sequence[Frames], answers: Sequence[Array] | None = None) -> str:
    """Return the text of the table.

    Args:
        people: rendered ones and those of clips.
        answers: of left_out, for the bounds; None asks.
    """
    answers = left_out(people, BOUND_FOLDS) if answers is None else answers
    document: dict[str, dict[str, object]] = {}
    for part, name in enumerate(CLEAR_CHANNELS):
        weights, bias, last, last_bias = Network(people, part, answers_of(part)).layers
        edges = [bounds(people, answers, k) for k in answers_of(part)]
        scale = np.abs(weights).max(axis=0) / 127
        document[name] = {
            'least': rounded([least for least, _ in edges], 3),
            'full': rounded([full for _, full in edges], 3),
            'last_bias': rounded(last_bias),
            'last': rounded(last),
            'bias': rounded(bias),
            'weights_scale': rounded(scale, 6),
            'weights': [' '.join(map(str, row)) for row in np.round(weights / scale).astype(int)],
        }
    return table_text(ABOUT, document)


def report(people: Sequence[Frames], answers: Sequence[Array]) -> Table:
    """Return what comes through of rendered expressions."""
    table = Table(title='people held out', title_justify='left')
    for heading in (
        'expression', 'full: shown, size', '0.5 to 0.75: shown, size', 'covered: shown, size',
        'correlation',
    ):  # fmt: skip
        table.add_column(heading, justify='left' if heading == 'expression' else 'right')
    for k, name in enumerate(ANSWERS):
        least, full = bounds(people, answers, k)
        asked = list(zip(people, answers, strict=True))
        seen = [
            [a[(one.target[:, k] > low) & (one.target[:, k] < high), k] for one, a in asked
             if one.rendered]
            for low, high in ((0.95, 2.0), (0.5, 0.75))
        ]  # fmt: skip
        seen.append([a[:, k] for one, a in asked if one.covered])
        values = [np.clip((np.concatenate(rows) - least) / (full - least), 0, 1) for rows in seen]
        cells = [f'{(value > 0).mean():.0%}, {value.mean():.2f}' for value in values]
        correlation = []
        for one, answered in asked:
            if one.unseen and not one.rendered and one.target[:, k].std() > 0.05:
                correlation.append(np.corrcoef(one.target[:, k], answered[:, k])[0, 1])
        r = f'{np.mean(correlation):.2f} ({len(correlation)})' if correlation else ''
        table.add_row(name.removesuffix('_left'), *cells, r)
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--people', type=int, default=PEOPLE, help='rendered ones')
    parser.add_argument('--face-model', type=Path, help='of the renders')
    parser.add_argument('--cache', type=Path, default=Path('data/clear'))
    add_write_option(parser)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    people = rendered_people(arguments.people, arguments.cache, arguments.face_model)
    people += people_of_clips(arguments.shared / 'clips', arguments.cache)
    answers = left_out(people, BOUND_FOLDS)
    Console(width=110).print(report(people, answers))
    settle('clear_expressions', fitted(people, answers), arguments.write)


if __name__ == '__main__':
    main()
