"""Winks, frowns and what else clips hardly hold, of rendered faces: what does the robot show?

    python -m benchmark.rendered_expressions [--people 4] [--markdown docs/offline.md]

Invented people (face_renderer; needs its face model and numba, see its README) make one expression
after the other, each at several sizes, with a rest before it. The whole chain imitates them as in
a replay, with simulated servos. Reached is how far the channel goes beyond where it was just
before, within 0.3 s of the expression; sizes are the renderer's own, which a face landmarker would
not call by the same numbers. A wink is kept apart when the lids reach half of its difference.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.marked_table import replace_table
from face_renderer import effects, sequence
from face_renderer.appearance import Atlas, make_style
from face_renderer.face_model import FaceModel, Person
from face_renderer.generate import exposure
from face_renderer.scene import Actor, Lights, Pose, crop_camera, render
from kf_imitation.camera.frame_source import camera_model
from kf_imitation.camera.left_out import LeftOut
from kf_imitation.data_types import CHANNELS, Frame
from kf_imitation.replay.simulation import build_stages, replay
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.ros_graph.nodes import merged_parameters

Rows = NDArray[np.float64]

FPS, SIZE_PX = 30, 256
SIZES = (0.3, 0.6, 1.0)
FIRST_S, REST_S = 1.5, 0.8  # at rest, before the first and before each expression
ONSET_S, HOLD_S, OFFSET_S = 0.2, 0.4, 0.25
QUICK_S = 0.1, 0.1, 0.18  # of a blink and a wink
WITHIN_S = 0.3
BEFORE_S = 0.3  # of the rest, where channels start from
APART = 0.5
SHOWN = 0.5  # of its size


@dataclass(frozen=True)
class Act:
    """An expression.

    Attributes:
        name: for people.
        weights: of the face model by name, at size 1; a name without a side sets both.
        channel: that should show it, without its side.
        sides: of the face that take part.
        quick: as quick as a blink.
    """

    name: str
    weights: dict[str, float]
    channel: str
    sides: tuple[str, ...] = ('left', 'right')
    quick: bool = False

    @property
    def columns(self) -> list[int]:
        """Places in CHANNELS of the channels that should show it."""
        names = [f'{self.channel}_{side}' for side in self.sides]
        return [CHANNELS.index(name) for name in names if name in CHANNELS] or [
            CHANNELS.index(self.channel)
        ]

    @property
    def is_wink(self) -> bool:
        """Whether one eye shuts and the other does not."""
        return self.channel == 'eye_close' and len(self.sides) == 1


def _wink(side: str, kind: str, quick: bool) -> Act:
    name = f'{kind}wink {side}'
    face = {} if quick else {'cheekSquint': 0.6, 'mouthSmile': 0.4}
    weights = {'eyeBlink': 1.0, **face}
    sided = {f'{shape}{side.capitalize()}': value for shape, value in weights.items()}
    return Act(name, sided, 'eye_close', (side,), quick)


PRESSED = {'mouthPress': 0.8, 'mouthRollLower': 0.3, 'mouthRollUpper': 0.3}
ACTS = (
    _wink('left', 'quick ', quick=True),
    _wink('right', 'quick ', quick=True),
    _wink('left', '', quick=False),
    _wink('right', '', quick=False),
    Act('blink', {'eyeBlink': 1.0}, 'eye_close', quick=True),
    Act('wide eyes', {'eyeWide': 1.0}, 'eye_wide'),
    Act('frown', {'mouthFrown': 1.0}, 'mouth_frown'),
    Act('lip press', PRESSED, 'lip_press'),
    Act('pucker', {'mouthPucker': 1.0}, 'mouth_pucker'),
    Act('smile', {'mouthSmile': 1.0, 'cheekSquint': 0.4}, 'mouth_smile'),
    Act('open mouth', {'jawOpen': 0.8}, 'jaw_open'),
    Act('raised brows', {'browInnerUp': 1.0, 'browOuterUp': 1.0}, 'brow_raise'),
    Act('lowered brows', {'browDown': 1.0}, 'brow_lower'),
)  # fmt: skip


@dataclass(frozen=True)
class Performed:
    """An expression at a time.

    Attributes:
        act: what.
        size: factor on its weights.
        start_s: when it begins.
        end_s: when it is over.
    """

    act: Act
    size: float
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Shown:
    """What the robot made of one expression.

    Attributes:
        performed: the expression.
        reached: how far its channel went, the mean of its sides.
        apart: of a wink, the difference of the lids; NaN for others.
        other: the largest of the channels that it does not have a part in, and its name.
    """

    performed: Performed
    reached: float
    apart: float
    other: tuple[float, str]


def schedule(acts: Sequence[Act], sizes: Sequence[float]) -> list[Performed]:
    """Put expressions one after the other, each at every size."""
    found, now_s = [], FIRST_S
    for act in acts:
        for size in sizes:
            now_s += REST_S
            length_s = sum(QUICK_S if act.quick else (ONSET_S, HOLD_S, OFFSET_S))
            found.append(Performed(act, size, now_s, now_s + length_s))
            now_s += length_s
    return found


def weights_of(model: FaceModel, played: Sequence[Performed]) -> NDArray[np.float32]:
    """Return the weights (N, 55) of all frames."""
    time_s = np.arange(round((played[-1].end_s + REST_S) * FPS)) / FPS
    weights = np.zeros((len(time_s), len(model.expression_names)))
    for one in played:
        timing = QUICK_S if one.act.quick else (ONSET_S, HOLD_S, OFFSET_S)
        strength = one.size * sequence.pulse(time_s, one.start_s, *timing)
        weights += strength[:, None] * sequence.to_weights(model, one.act.weights)
    return sequence.limit(model, weights.astype(np.float32))


class Rendering:
    """A source of rendered frames of one invented person; what repeats is rendered once."""

    is_live, fps = False, float(FPS)

    def __init__(self, model: FaceModel, atlas: Atlas, person: int, weights: Rows) -> None:
        """Invent the person.

        Args:
            model: of faces.
            atlas: of the model.
            person: number; the same one is the same person in the same light.
            weights: (N, 55).
        """
        self.name = f'person {person}'
        self.frame_count = len(weights)
        self.camera = camera_model(SIZE_PX, SIZE_PX, 0.0)
        self.left_out = LeftOut(self.name)
        self._rng = np.random.default_rng([16, person])
        identity = np.clip(self._rng.standard_normal(100), -2.2, 2.2) * 0.85
        face = Person(model, identity.astype(np.float32))
        self._actor = Actor(face, make_style(atlas, self._rng), atlas)
        self._lights = Lights.random(self._rng)
        self._light = exposure(self._actor, self._lights, self._rng)
        self._behind = effects.background(self._rng, SIZE_PX, SIZE_PX)
        self._sensor = effects.CameraEffects(0, 0.3, (0.0, 0.0), 0.006, 0, (1.0,) * 3, 1.0, 0.0)
        self._pose = Pose(0.0, 0.0, 0.0, 0.0, 0.0, -62.0)
        self._seen = crop_camera(self._actor, weights[0], self._pose, SIZE_PX, 1.9)
        self._weights = weights
        self._frames: Iterator[Frame] = iter(())
        self.open()

    def open(self) -> None:
        """Begin again."""
        self._frames = self._draw()

    def read(self) -> Frame | None:
        """Return the next frame."""
        return next(self._frames, None)

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def _draw(self) -> Iterator[Frame]:
        drawn: dict[bytes, NDArray[np.float32]] = {}
        for index, weights in enumerate(self._weights):
            key = weights.round(3).tobytes()
            if key not in drawn:
                drawn[key] = render(
                    self._actor, weights, self._pose, self._seen, self._lights, self._behind,
                    self._light,
                ).image  # fmt: skip
            picture = self._sensor.apply(drawn[key], self._rng)
            yield Frame(index, round(index / FPS * 1e9), picture)


def imitate(source: Rendering, robot: str) -> tuple[NDArray[np.int64], Rows]:
    """Imitate a source with default settings and return stamps (T,) and shown channels (T, 19)."""
    values = merged_parameters()
    record = replay(source, build_stages(values, robot), values['keyframe']['detector.mode'])
    channels_of = JointMapping(load_robot(robot)).channels
    shown = np.stack([channels_of(row) for row in record.joints.present_rad])
    return record.joints.stamp_ns, shown.astype(np.float64)


def shown(performed: Performed, stamps_ns: NDArray[np.int64], channels: Rows) -> Shown:
    """Return what the robot made of an expression.

    Args:
        performed: the expression.
        stamps_ns: (T,).
        channels: (T, 19) that the robot showed.
    """
    edges_s = performed.start_s - BEFORE_S, performed.start_s, performed.end_s + WITHIN_S
    before, start, end = np.searchsorted(stamps_ns, np.round(np.array(edges_s) * 1e9))
    moved = channels[start:end] - np.median(channels[before:start], axis=0)
    columns = performed.act.columns
    reached = float(moved[:, columns].mean(axis=1).max())
    apart = float('nan')
    if performed.act.is_wink:
        lids = [CHANNELS.index(f'eye_close_{side}') for side in ('left', 'right')]
        other = next(k for k in lids if k != columns[0])
        apart = float((moved[:, columns[0]] - moved[:, other]).max())
    free = [k for k, name in enumerate(CHANNELS) if k not in columns and _is_unit(name)]
    largest = moved[:, free].max(axis=0)
    worst = int(largest.argmax())
    return Shown(performed, reached, apart, (float(largest[worst]), CHANNELS[free[worst]]))


def _is_unit(name: str) -> bool:
    return not name.startswith(('gaze', 'head'))


def table(found: Sequence[Shown]) -> str:
    """Return the table as Markdown."""
    sizes = sorted({one.performed.size for one in found})
    heads = [f'size {size:g}' for size in sizes]
    lines = [
        f'| expression | channel | {" | ".join(heads)} | shown | largest other channel |',
        '|---' * (len(sizes) + 4) + '|',
    ]
    for act in {one.performed.act.name: one.performed.act for one in found}.values():
        mine = [one for one in found if one.performed.act is act]
        cells = [
            f'{np.mean([one.reached for one in mine if one.performed.size == size]):.2f}'
            for size in sizes
        ]
        good = [one.reached >= SHOWN * one.performed.size for one in mine]
        value, name = max(one.other for one in mine)
        lines.append(
            f'| {act.name} | {act.channel} | {" | ".join(cells)} | {np.mean(good):.0%} '
            f'| {name} {value:.2f} |'
        )
    return '\n'.join(lines)


def winks_apart(found: Sequence[Shown]) -> tuple[int, int]:
    """Return how many winks of size 1 were kept apart, and how many there were."""
    winks = [one for one in found if one.performed.act.is_wink and one.performed.size == 1]
    return sum(one.apart >= APART for one in winks), len(winks)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--people', type=int, default=4)
    parser.add_argument('--first', type=int, default=0, help='number of the first person')
    parser.add_argument('--robot', default='sim_face')
    parser.add_argument('--model', type=Path, help='the face model')
    parser.add_argument('--markdown', type=Path, help='a page whose table is to be replaced')
    args = parser.parse_args()
    model = FaceModel.load(args.model)
    atlas, played = Atlas(model), schedule(ACTS, SIZES)
    weights, found = weights_of(model, played), []
    for person in range(args.first, args.first + args.people):
        stamps_ns, channels = imitate(Rendering(model, atlas, person, weights), args.robot)
        found += [shown(one, stamps_ns, channels) for one in played]
        print(f'person {person}: {winks_apart(found)} winks kept apart so far', flush=True)
    apart, winks = winks_apart(found)
    text = f'{table(found)}\n\nWinks kept apart: {apart} of {winks}.'
    print(text)
    if args.markdown:
        replace_table(args.markdown, 'rendered', text)


if __name__ == '__main__':
    main()
