"""Expressions over time: onset, apex, offset, blinks, speech, gaze, head turns, stillness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from face_renderer.face_model import FaceModel
from face_renderer.scene import Pose

F32 = NDArray[np.float32]

MOUTH_CAP = 2.2

# Whole-face expressions; a name without a side sets both sides.
EXPRESSIONS: dict[str, dict[str, float]] = {
    'smile': {'mouthSmile': 0.8, 'cheekSquint': 0.45, 'eyeSquint': 0.25},
    'laugh': {
        'mouthSmile': 0.9,
        'jawOpen': 0.35,
        'mouthUpperUp': 0.35,
        'cheekSquint': 0.7,
        'eyeSquint': 0.4,
    },
    'grin': {'mouthSmile': 0.7, 'mouthUpperUp': 0.4, 'mouthLowerDown': 0.35, 'mouthStretch': 0.2},
    'surprise': {'browInnerUp': 0.9, 'browOuterUp': 0.9, 'eyeWide': 1.0, 'jawOpen': 0.55},
    'anger': {'browDown': 0.9, 'noseSneer': 0.35, 'mouthPress': 0.5, 'eyeSquint': 0.4},
    'shout': {
        'browDown': 0.7,
        'jawOpen': 0.7,
        'mouthUpperUp': 0.5,
        'mouthLowerDown': 0.5,
        'noseSneer': 0.4,
    },
    'sadness': {'browInnerUp': 0.8, 'mouthFrown': 0.7, 'mouthShrugLower': 0.35, 'eyeBlink': 0.2},
    'disgust': {'noseSneer': 0.8, 'mouthUpperUp': 0.6, 'browDown': 0.5, 'eyeSquint': 0.5},
    'fear': {
        'browInnerUp': 0.9,
        'browDown': 0.2,
        'eyeWide': 0.9,
        'mouthStretch': 0.6,
        'jawOpen': 0.25,
    },
    'pucker': {'mouthPucker': 0.85},
    'funnel': {'mouthFunnel': 0.7, 'jawOpen': 0.2},
    'puff': {'cheekPuff': 0.8, 'mouthPress': 0.3},
    'press': {'mouthPress': 0.8, 'mouthRollLower': 0.4, 'mouthRollUpper': 0.3},
    'squint': {'eyeSquint': 0.9, 'browDown': 0.4, 'cheekSquint': 0.5},
    'brows': {'browInnerUp': 0.8, 'browOuterUp': 0.8},
    'yawn': {'jawOpen': 0.95, 'eyeBlink': 0.8, 'browInnerUp': 0.3, 'mouthStretch': 0.2},
    'wink_left': {'eyeBlinkLeft': 1.0, 'cheekSquintLeft': 0.6, 'mouthSmileLeft': 0.4},
    'wink_right': {'eyeBlinkRight': 1.0, 'cheekSquintRight': 0.6, 'mouthSmileRight': 0.4},
    'smirk_left': {'mouthSmileLeft': 0.7, 'mouthDimpleLeft': 0.4, 'mouthLeft': 0.3},
    'smirk_right': {'mouthSmileRight': 0.7, 'mouthDimpleRight': 0.4, 'mouthRight': 0.3},
    'one_brow': {'browOuterUpLeft': 0.9, 'browInnerUpLeft': 0.4, 'browDownRight': 0.4},
    'jaw_side': {'jawLeft': 0.7, 'jawOpen': 0.15},
    'jaw_other': {'jawRight': 0.7, 'jawOpen': 0.1},
    'open': {'jawOpen': 0.5},
    'closed_eyes': {'eyeBlink': 1.0},
}
VISEMES: tuple[dict[str, float], ...] = (
    {'jawOpen': 0.45, 'mouthLowerDown': 0.15},
    {'jawOpen': 0.22, 'mouthStretch': 0.3, 'mouthSmile': 0.15},
    {'jawOpen': 0.28, 'mouthFunnel': 0.5},
    {'jawOpen': 0.12, 'mouthPucker': 0.6},
    {'mouthPress': 0.5, 'mouthRollLower': 0.35},
    {'jawOpen': 0.1, 'mouthRollLower': 0.5, 'mouthUpperUp': 0.2},
    {'jawOpen': 0.15, 'mouthUpperUp': 0.2, 'mouthLowerDown': 0.3},
)


def to_weights(model: FaceModel, named: dict[str, float]) -> F32:
    """(55,) weights from names; a name that exists with sides only sets both."""
    out = np.zeros(len(model.expression_names), np.float32)
    for name, value in named.items():
        hits = [n for n in (name, name + 'Left', name + 'Right') if n in model.index]
        if not hits:
            raise KeyError(name)
        for hit in hits:
            out[model.index[hit]] += value
    return out


def limit(model: FaceModel, weights: F32) -> F32:
    """Keeps (…, 55) weights where faces can be: mouth sum capped, mouthClose below jawOpen."""
    out = np.clip(weights, 0, 1.3).astype(np.float32)
    mouth = [i for n, i in model.index.items() if n.startswith('mouth')]
    jaw, close = model.index['jawOpen'], model.index['mouthClose']
    out[..., close] = np.minimum(out[..., close], out[..., jaw])
    total = out[..., mouth].sum(-1, keepdims=True)
    out[..., mouth] *= np.minimum(1.0, MOUTH_CAP / np.maximum(total, 1e-6))
    for n, i in model.index.items():
        if n.startswith('eyeBlink'):
            out[..., i] = np.clip(out[..., i], 0, 1)
    return out


def look(model: FaceModel, yaw: float, pitch: float) -> F32:
    """(55,) eyeLook weights that turn both eyes (yaw to the subject's left, pitch up; -1..1)."""
    out = np.zeros(len(model.expression_names), np.float32)
    for name, value in (
        ('eyeLookOutLeft', yaw),
        ('eyeLookInRight', yaw),
        ('eyeLookInLeft', -yaw),
        ('eyeLookOutRight', -yaw),
        ('eyeLookUpLeft', pitch),
        ('eyeLookUpRight', pitch),
        ('eyeLookDownLeft', -pitch),
        ('eyeLookDownRight', -pitch),
    ):
        out[model.index[name]] = max(value, 0.0)
    return out


def random_expression(model: FaceModel, rng: np.random.Generator) -> F32:
    """One momentary expression: neutral to strong, lopsided at times, any gaze, any lid."""
    weights = np.zeros(len(model.expression_names), np.float32)
    kind = rng.random()
    names = list(EXPRESSIONS)
    if kind > 0.12:
        for _ in range(int(rng.choice([1, 1, 2, 3]))):
            weights += to_weights(
                model, EXPRESSIONS[names[rng.integers(len(names))]]
            ) * rng.uniform(0.15, 1.15)
    if rng.random() < 0.35:
        weights += to_weights(model, VISEMES[rng.integers(len(VISEMES))]) * rng.uniform(0.4, 1.3)
    if rng.random() < 0.5:
        some = rng.integers(0, len(weights), 6)
        free = [
            i
            for i in some
            if not model.expression_names[i].startswith(
                ('eyeLook', 'eyeBlink', 'Pupil', 'mouthClose')
            )
        ]
        weights[free] += rng.uniform(0, 0.5, len(free)).astype(np.float32)
    lids = rng.random()
    left, right = model.index['eyeBlinkLeft'], model.index['eyeBlinkRight']
    if lids < 0.14:
        weights[[left, right]] = 1.0
    elif lids < 0.32:
        weights[[left, right]] = rng.uniform(0.15, 0.9) + rng.uniform(-0.1, 0.1, 2)
    elif lids < 0.37:
        weights[[left, right][rng.integers(2)]] = rng.uniform(0.6, 1.0)
    weights *= rng.uniform(0.8, 1.2, len(weights)).astype(np.float32)
    if lids < 0.14:
        weights[[left, right]] = 1.0
    weights += look(
        model,
        float(np.clip(rng.normal(0, 0.3), -1, 1)),
        float(np.clip(rng.normal(-0.05, 0.25), -1, 1)),
    )
    weights[[i for n, i in model.index.items() if n.startswith('Pupil')]] = 0
    return limit(model, weights)


def ease(t: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """0 to 1 with no jerk at the ends (minimum-jerk)."""
    t = np.clip(t, 0, 1)
    return t**3 * (10 - 15 * t + 6 * t * t)


def pulse(
    t: NDArray[np.float64], start: float, onset: float, hold: float, offset: float
) -> NDArray[np.float64]:
    """0, eases to 1 over `onset` seconds, stays for `hold`, eases back over `offset`."""
    return np.asarray(ease((t - start) / onset) * (1 - ease((t - start - onset - hold) / offset)))


@dataclass
class Timeline:
    """Expression and pose over time.

    Attributes:
        fps: frames per second.
        weights: (N, 55).
        poses: N head poses.
    """

    fps: float
    weights: F32
    poses: list[Pose]


def blink_curve(
    t: NDArray[np.float64], starts: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Lids over time for blinks at the given seconds: down in 70-110 ms, up in 130-220 ms."""
    lids = np.zeros_like(t)
    for start in starts:
        depth = 1.0 if rng.random() < 0.85 else rng.uniform(0.5, 0.9)
        lids = np.maximum(
            lids,
            depth
            * pulse(
                t, start, rng.uniform(0.07, 0.11), rng.uniform(0.0, 0.05), rng.uniform(0.13, 0.22)
            ),
        )
    return lids


def random_timeline(
    model: FaceModel,
    rng: np.random.Generator,
    frames: int,
    fps: float = 30.0,
    distance: float = 70.0,
) -> Timeline:
    """A natural sequence: expressions, blinks, perhaps speech, head moves with rests."""
    t = np.arange(frames) / fps
    length = max(frames / fps, 0.1)
    weights = np.zeros((frames, len(model.expression_names)), np.float64)
    names = list(EXPRESSIONS)
    now = rng.uniform(-1.2, 0.6)
    while now < length:
        onset, hold, offset = rng.uniform(0.12, 0.6), rng.exponential(0.5), rng.uniform(0.2, 0.9)
        target = to_weights(model, EXPRESSIONS[names[rng.integers(len(names))]]) * rng.uniform(
            0.3, 1.1
        )
        target = target * rng.uniform(0.8, 1.2, len(target))
        weights += pulse(t, now, onset, hold, offset)[:, None] * target
        now += onset + hold + rng.uniform(-0.2, 1.2)
    if rng.random() < 0.45:
        weights += speech(model, rng, t, rng.uniform(-0.5, length * 0.4), length)
    starts = np.cumsum(rng.gamma(2.0, 1.1, 40)) - rng.uniform(0, 3)
    lids = blink_curve(t, starts[starts < length], rng)
    for name in ('eyeBlinkLeft', 'eyeBlinkRight'):
        weights[:, model.index[name]] = np.maximum(weights[:, model.index[name]], lids)
    gaze = np.zeros((frames, 2))
    at, place = rng.uniform(-0.5, 0.8), rng.normal(0, 0.2, 2)
    gaze[:] = place
    while at < length:
        following = np.clip(rng.normal(0, [0.35, 0.22]), -1, 1)
        gaze += ease((t - at) / 0.06)[:, None] * (following - place)
        place = following
        at += rng.exponential(0.9) + 0.25
    for i in range(frames):
        weights[i] += look(model, float(gaze[i, 0]), float(gaze[i, 1]))
    rest = np.array(
        [rng.normal(0, 0.18), rng.normal(0, 0.1), rng.normal(0, 0.07), 0.0, 0.0, -distance]
    )
    track = np.tile(rest, (frames, 1))
    at, place = rng.uniform(-0.8, 1.2), rest
    spread = np.array([0.32, 0.17, 0.13, 2.0, 1.5, 3.0]) * rng.choice([0.25, 1.0])
    while at < length:
        following = (
            rest * 0.5 + rng.normal(0, 1, 6) * spread + np.array([0, 0, 0, 0, 0, -distance * 0.5])
        )
        following[0] = np.clip(following[0], -0.75, 0.75)
        track += ease((t - at) / rng.uniform(0.25, 0.9))[:, None] * (following - place)
        place = following
        at += rng.exponential(1.0) + 0.4
    sway = rng.uniform(0, 6.28, 6)
    scale = np.array([0.006, 0.006, 0.004, 0.08, 0.06, 0.1]) * rng.uniform(0, 1.5)
    track += scale * np.sin(2 * np.pi * np.outer(t, rng.uniform(0.2, 1.2, 6)) + sway)
    return Timeline(fps, limit(model, weights), [Pose(*(float(v) for v in row)) for row in track])


def speech(
    model: FaceModel, rng: np.random.Generator, t: NDArray[np.float64], start: float, end: float
) -> NDArray[np.float64]:
    """(N, 55) weights of speech-like jaw and lips between two times [s], 3 to 6 syllables/s."""
    out = np.zeros((len(t), len(model.expression_names)))
    at = start
    while at < end:
        step = rng.uniform(0.14, 0.30)
        if rng.random() < 0.12:
            at += rng.uniform(0.2, 0.7)
            continue
        target = to_weights(model, VISEMES[rng.integers(len(VISEMES))]) * rng.uniform(0.35, 1.1)
        out += pulse(t, at, step * 0.55, step * 0.1, step * 0.75)[:, None] * target
        at += step
    return out
