"""Renders the demo clip: one invented face goes through what the robot should mimic.

    python -m face_renderer.demo --out media/demo.mp4

Next to the clip goes its truth, `<out>.npz`: names, blendshapes (N, 52), head_pose (N, 4, 4) [cm],
landmarks98 (N, 98, 2) [px], visibility (N, 98), valid (N,), fps, size, and `events`: what happens
when (name, start and end in seconds).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from fractions import Fraction
from pathlib import Path

for _name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ.setdefault(_name, '1')

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from face_renderer import (  # noqa: E402
    effects,
    ground_truth,
    sequence,
)
from face_renderer.appearance import Atlas, StyleChoice, make_style  # noqa: E402
from face_renderer.face_model import FaceModel, Person  # noqa: E402
from face_renderer.scene import Actor, Camera, Lights, Pose, render  # noqa: E402
from kf_imitation.errors import KfImitationError  # noqa: E402

FPS = 30
SECONDS = 14.0
DISTANCE_CM = 62.0
# name, start, onset, hold, offset [s], weights; the order a person could be asked for.
EVENTS: tuple[tuple[str, float, float, float, float, dict[str, float]], ...] = (
    ('smile', 0.9, 0.35, 0.55, 0.45,
     {'mouthSmile': 0.85, 'cheekSquint': 0.5, 'eyeSquint': 0.2, 'mouthUpperUp': 0.12}),
    ('surprise', 3.0, 0.22, 0.55, 0.40,
     {'browInnerUp': 1.0, 'browOuterUp': 1.0, 'eyeWide': 1.0, 'jawOpen': 0.55}),
    ('frown', 4.75, 0.30, 0.45, 0.35,
     {'browDown': 1.0, 'mouthFrown': 0.6, 'noseSneer': 0.2, 'mouthPress': 0.3}),
    ('brows', 6.1, 0.20, 0.30, 0.25, {'browInnerUp': 0.9, 'browOuterUp': 0.9}),
    ('pucker', 8.85, 0.28, 0.30, 0.28, {'mouthPucker': 0.95}),
    ('smile_open', 12.2, 0.30, 0.35, 0.40,
     {'mouthSmile': 0.9, 'jawOpen': 0.18, 'mouthUpperUp': 0.3, 'cheekSquint': 0.6}),
    ('wink', 12.55, 0.10, 0.22, 0.18, {'eyeBlinkLeft': 1.0, 'cheekSquintLeft': 0.4}),
)  # fmt: skip
SPEECH_START_S = 7.0
SPEECH = (
    ('jaw', 0.60), ('wide', 0.75), ('round', 0.8), ('shut', 0.8),
    ('jaw', 0.75), ('round', 0.9), ('wide', 0.7), ('jaw', 0.55),
)  # fmt: skip
SYLLABLES = {
    'jaw': {'jawOpen': 0.8, 'mouthLowerDown': 0.2},
    'wide': {'jawOpen': 0.35, 'mouthStretch': 0.5, 'mouthSmile': 0.3},
    'round': {'jawOpen': 0.4, 'mouthFunnel': 0.8},
    'shut': {'mouthPress': 0.7, 'mouthRollLower': 0.4},
}
SYLLABLE_S = 0.2
BLINKS = (0.45, 2.45, 4.45, 5.75, 8.6, 10.1, 11.85, 13.35)
# gaze yaw, pitch (-1..1 of the full turn) from a time on
GAZE = ((9.55, 0.75, 0.0), (9.85, -0.75, 0.0), (10.25, 0.0, 0.0))
# start, duration, yaw, pitch, roll [deg] to move to
TURNS = (
    (10.35, 0.40, 20.0, 0.0, 0.0), (10.80, 0.55, -20.0, 0.0, 0.0), (11.35, 0.35, 0.0, 0.0, 0.0),
    (11.65, 0.22, 0.0, -10.0, 0.0), (11.87, 0.25, 0.0, 5.0, 0.0), (12.1, 0.22, 0.0, 0.0, 0.0),
    (12.3, 0.35, 3.0, 0.0, 10.0), (12.95, 0.40, 0.0, 0.0, 0.0),
)  # fmt: skip


def choreography(
    model: FaceModel, fps: int = FPS
) -> tuple[sequence.Timeline, list[tuple[str, float, float]]]:
    """The clip's expressions and poses, and what happens when; the same motion at any rate."""
    frames = round(SECONDS * fps)
    t = np.arange(frames) / fps
    weights = np.zeros((frames, len(model.expression_names)))
    events = []
    for name, start, onset, hold, offset, named in EVENTS:
        weights += sequence.pulse(t, start, onset, hold, offset)[:, None] * sequence.to_weights(
            model, named
        )
        events.append((name, start, start + onset + hold + offset))
    at = SPEECH_START_S
    for name, strength in SPEECH:
        target = sequence.to_weights(model, SYLLABLES[name]) * strength
        weights += (
            sequence.pulse(t, at, SYLLABLE_S * 0.6, 0.02, SYLLABLE_S * 0.8)[:, None] * target
        )
        at += SYLLABLE_S
    events.append(('speech', SPEECH_START_S, at + 0.1))
    lids = np.zeros(frames)
    for start in BLINKS:
        lids = np.maximum(lids, sequence.pulse(t, start, 0.09, 0.03, 0.17))
        events.append(('blink', start, start + 0.29))
    for name in ('eyeBlinkLeft', 'eyeBlinkRight'):
        weights[:, model.index[name]] = np.maximum(weights[:, model.index[name]], lids)
    gaze = np.zeros((frames, 2))
    before = np.zeros(2)
    for start, yaw, pitch in GAZE:
        gaze += sequence.ease((t - start) / 0.08)[:, None] * (np.array([yaw, pitch]) - before)
        before = np.array([yaw, pitch])
    events.append(('gaze', GAZE[0][0], GAZE[-1][0] + 0.08))
    for i in range(frames):
        weights[i] += sequence.look(model, float(gaze[i, 0]), float(gaze[i, 1]))
    turn = np.zeros((frames, 3))
    last = np.zeros(3)
    for start, duration, *goal in TURNS:
        turn += sequence.ease((t - start) / duration)[:, None] * (np.deg2rad(goal) - last)
        last = np.deg2rad(goal)
    events.append(('head', TURNS[0][0], TURNS[-1][0] + TURNS[-1][1]))
    sway = 0.0015 * np.sin(2 * np.pi * np.outer(t, [0.21, 0.17, 0.13]) + [0.3, 1.7, 2.9])
    poses = [
        Pose(float(a), float(b), float(c), 0.0, -0.6, -DISTANCE_CM) for a, b, c in turn + sway
    ]
    return sequence.Timeline(fps, sequence.limit(model, weights), poses), sorted(
        events, key=lambda e: e[1]
    )


def demo_actor(model: FaceModel, seed: int, size_cm: float = 0.8) -> Actor:
    """The invented person of the clip."""
    atlas = Atlas(model)
    rng = np.random.default_rng(seed)
    identity = (rng.standard_normal(100) * size_cm).clip(-1.5, 1.5)
    choice = StyleChoice(
        skin=2.6,
        hair=2,
        iris=1,
        hair_style='short',
        beard=0.0,
        glasses=False,
        makeup=0.15,
        age=0.35,
    )
    return Actor(Person(model, identity.astype(np.float32)), make_style(atlas, rng, choice), atlas)


LIGHTS = Lights(
    np.array([[0.45, 0.5, 0.74], [-0.75, 0.25, 0.61], [-0.6, 0.5, -0.62]], np.float32),
    np.array([[1.0, 0.95, 0.88], [0.30, 0.33, 0.38], [0.5, 0.5, 0.55]], np.float32),
    np.array([9.0, 7.0, 12.0], np.float32),
    np.array([0.52, 0.55, 0.60], np.float32),
    np.array([0.30, 0.28, 0.26], np.float32),
)


def room(size: int) -> NDArray[np.float32]:
    """A quiet wall with a window's light on one side, linear RGB."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    glow = np.exp(-(((x - 0.95) / 0.35) ** 2) - ((y - 0.3) / 0.5) ** 2)[..., None]
    frame = (
        1
        / (1 + np.exp((np.abs(x - 0.1) - 0.13) * 60))
        / (1 + np.exp((np.abs(y - 0.25) - 0.16) * 60))
    )[..., None]
    wall = np.array([0.17, 0.20, 0.22]) * (1.1 - 0.35 * y[..., None])
    wall = wall + glow * np.array([0.22, 0.20, 0.16])
    return np.asarray(
        wall * (1 - 0.55 * frame) + frame * np.array([0.05, 0.045, 0.03]), np.float32
    )


def write(out: Path, model: FaceModel, size: int, seed: int, crf: int, fps: int = FPS) -> None:
    """Renders the clip and its labels; nothing is left behind when it fails."""
    import av

    actor = demo_actor(model, seed)
    timeline, events = choreography(model, fps)
    rng = np.random.default_rng([seed, 7])
    camera = Camera(size * 2.0, size / 2, size * 0.545, size, size)
    behind = room(size)
    sensor = effects.CameraEffects(0, 0.35, (0.0, 0.0), 0.004, 0, (1.0, 1.0, 1.0), 1.0, 0.0)
    rows: list[NDArray[np.float32]] = []
    seen, matrices = [], []
    temporary = out.with_name(out.stem + '.part' + out.suffix)
    begun = time.perf_counter()
    try:
        with av.open(str(temporary), 'w', options={'movflags': '+faststart'}) as container:
            stream = container.add_stream(
                'libx264',
                rate=fps,
                options={'crf': str(crf), 'preset': 'slow', 'g': '60', 'threads': '1'},
            )
            stream.width = stream.height = size
            stream.pix_fmt = 'yuv420p'
            stream.time_base = Fraction(1, fps)
            for i, pose in enumerate(timeline.poses):
                drawn = render(actor, timeline.weights[i], pose, camera, LIGHTS, behind, 0.92)
                frame = av.VideoFrame.from_ndarray(sensor.apply(drawn.image, rng), format='bgr24')
                frame.pts = i
                container.mux(stream.encode(frame))
                rows.append(drawn.landmarks)
                seen.append(drawn.visible)
                matrices.append(pose.matrix)
                if (i + 1) % fps == 0:
                    print(f'\r{out}: {i + 1}/{len(timeline.poses)} frames', end='', flush=True)
            container.mux(stream.encode())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    spent = time.perf_counter() - begun
    size_kb, each_ms = out.stat().st_size / 1e3, 1e3 * spent / len(rows)
    print(f'\r{out}: {len(rows)} frames, {size_kb:.0f} kB, {each_ms:.0f} ms per frame')
    np.savez_compressed(
        out.with_suffix('.npz'),
        names=np.array(ground_truth.BLENDSHAPE_NAMES),
        blendshapes=ground_truth.to_blendshapes(timeline.weights, model).round(4),
        head_pose=np.stack(matrices),
        landmarks98=np.stack(rows).round(2).astype(np.float32),
        visibility=np.stack(seen).astype(np.uint8),
        valid=np.ones(len(rows), bool),
        fps=np.array(float(fps)),
        size=np.array([size, size]),
        event_names=np.array([e[0] for e in events]),
        event_times=np.array([e[1:] for e in events], np.float32),
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog='python -m face_renderer.demo', description=(__doc__ or '').split('\n')[0]
    )
    parser.add_argument('--out', type=Path, default=Path('media/demo.mp4'))
    parser.add_argument(
        '--model',
        type=Path,
        default=None,
        help='the face model (default: $KF_FACE_MODEL or ../shared/data/faces)',
    )
    parser.add_argument('--size', type=int, default=480, help='picture side [px], even')
    parser.add_argument('--seed', type=int, default=12, help='who is shown')
    parser.add_argument('--crf', type=int, default=23, help='H.264 quality, smaller is better')
    parser.add_argument('--fps', type=int, default=FPS, help='frames per second')
    options = parser.parse_args(arguments)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        model = FaceModel.load(options.model)
        write(options.out, model, options.size, options.seed, options.crf, options.fps)
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
