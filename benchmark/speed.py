"""How fast the head is on this machine: every row of docs/performance.md, in under six minutes.

    python -m benchmark.speed [--json FILE] [--rounds 3] [--landmarker face_landmarker.task]

Nothing else should run. Rows are measured in rounds, one after the other, so that a slow minute of
the machine falls on all of them; the first start of everything is not counted. `--landmarker` adds
MediaPipe's face landmarker with blendshapes, on the same frames. Two JSON files are compared by
`python -m benchmark.compare`.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from benchmark.idle_simulator import measure as simulator_share
from benchmark.keyframe import PEER, make_subject, read_frames
from benchmark.keyframe import measure as run_subjects
from benchmark.landmarks import times_ms
from benchmark.load import run as run_head
from benchmark.runs import FRAMES, machine, short_clip, timed
from kf_imitation.cli.terminal import write_json
from kf_imitation.data_types import FaceRegion
from kf_imitation.parameters.schema import SCHEMA
from kf_imitation.paths import share_path
from kf_imitation.pipeline.face_pipeline import build_landmark_model

MODELS = {'default': 'keyframe_default', 'lite': 'keyframe_lite'}
P95, P99 = 'capture to command p95', 'capture to command p99'
AIMS = {'rate': 30.0, P99: 150.0}


@dataclass
class Row:
    """One figure.

    Attributes:
        unit: of the samples.
        aim: where we want it, or None.
        more_is_better: of rates.
        samples: one or more of each round.
    """

    unit: str
    aim: float | None = None
    more_is_better: bool = False
    samples: list[float] = field(default_factory=list)


Part = Callable[[], Iterator[tuple[str, Row, float]]]


def start() -> Iterator[tuple[str, Row, float]]:
    """Starting: help, usage errors."""
    yield '--help', Row('s', 0.3), timed('--help')[0]
    yield 'usage error', Row('s', 0.3), timed('replay', '--nonsense')[0]


def replay(clip: Path) -> Iterator[tuple[str, Row, float]]:
    """The whole command on a short clip."""
    with tempfile.TemporaryDirectory() as folder:
        wall_s, used_s, _ = timed('replay', str(clip), '--out', f'{folder}/run')
    yield f'replay of {FRAMES} frames', Row('s', 2.5), wall_s
    yield f'replay of {FRAMES} frames, processor', Row('s'), used_s


def stages(landmarker: Path | None) -> Iterator[tuple[str, Row, float]]:
    """The keyframe stage with each model, beside a peer where there is one."""
    frames = read_frames(str(share_path('media/demo.mp4')), FRAMES)
    names = [*MODELS.values(), 'face tracking alone', *([PEER] if landmarker else [])]
    subjects = {name: make_subject(name, 2, landmarker or Path(), None) for name in names}
    run_subjects(list(subjects.values()), frames)
    for name, subject in subjects.items():
        yield f'{name}, a frame', Row('ms'), subject.percentile_ms(50)
        yield f'{name}, a frame, processor', Row('ms'), subject.busy_ms
    if landmarker:
        peer = subjects[PEER]
        for model, aim in (('default', 1.0), ('lite', 0.33)):
            ours = subjects[MODELS[model]]
            wall, busy = (
                ours.percentile_ms(50) / peer.percentile_ms(50),
                ours.busy_ms / peer.busy_ms,
            )
            yield f'{model} to MediaPipe', Row('ratio', aim), wall
            yield f'{model} to MediaPipe, processor', Row('ratio', aim), busy
    for subject in subjects.values():
        subject.close()


def landmarks() -> Iterator[tuple[str, Row, float]]:
    """Landmarks of a keyframe with all models."""
    values = {parameter.name: parameter.default for parameter in SCHEMA['landmarks']}
    model = build_landmark_model(values)
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    face, region = cv2.GaussianBlur(noise, (0, 0), 3), FaceRegion(0.0, 0.0, 256.0)
    _, middle_ms = times_ms(lambda: model.predict(face, region, 0), 100)
    yield 'landmarks of a keyframe', Row('ms', 4.0), middle_ms


def simulator() -> Iterator[tuple[str, Row, float]]:
    """Simulated servos at rest."""
    yield 'simulated servos at rest', Row('% of a core', 5.0), 100 * simulator_share('sim_face', 5)


def mimic(
    model: str, params: Mapping[str, str], aims: Mapping[str, float]
) -> Iterator[tuple[str, Row, float]]:
    """The running head on the demo clip, at its own pace, with parameters of the keyframe node."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'params.yaml')
        path.write_text(json.dumps({'/**/keyframe': {'ros__parameters': params}}))
        _, used_s, table = timed('mimic', '--port', 'simulated', '--params', str(path))
    for name, (unit, value) in figures_of(table).items():
        yield f'mimic with {model}, {name}', Row(unit, aims.get(name), unit == 'fps'), value
    yield f'mimic with {model}, processor', Row('s'), used_s


def looked_at() -> Iterator[tuple[str, Row, float]]:
    """The running head with its page and avatar looked at, and a bag recorded."""
    found = run_head(share_path('media/demo.mp4'), 14.0, ['--avatar'], page=True)
    yield 'page looked at, avatar, bag: rate', Row('fps', 30.0, True), found.frames_per_s
    yield 'page looked at, avatar, bag: capture to channels p99', Row('ms'), found.p99_ms


def figures_of(table: str) -> dict[str, tuple[str, float]]:
    """Return unit and value of what the table of `mimic` says, by name; missing ones left out."""
    patterns = {
        'rate': ('fps', r'([\d.]+) frames per second'),
        **{
            f'capture to command {p}': ('ms', rf'capture to servo command\W.*?{p} ([\d.]+)')
            for p in ('p50', 'p95', 'p99')
        },
    }
    found = {name: (unit, re.search(text, table)) for name, (unit, text) in patterns.items()}
    return {name: (unit, float(m[1])) for name, (unit, m) in found.items() if m is not None}


def measure(rounds: int, landmarker: Path | None, say: Callable[[str], None]) -> dict[str, Row]:
    """Measure every row in rounds."""
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = short_clip(Path(folder))
        parts: list[Part] = [
            start,
            lambda: replay(clip),
            lambda: stages(landmarker),
            landmarks,
            simulator,
        ]
        heads: list[Part] = [
            partial(mimic, 'default settings', {}, {**AIMS, P95: 90.0}),
            partial(mimic, 'default', {'model': MODELS['default']}, {**AIMS, P95: 120.0}),
            partial(mimic, 'lite', {'model': MODELS['lite']}, {**AIMS, P95: 70.0}),
            looked_at,
        ]
        for warm_up in (start, lambda: replay(clip)):
            list(warm_up())
        for number, part in (
            (n, part) for n, chosen in enumerate([*([parts] * rounds), heads]) for part in chosen
        ):
            for name, row, value in part():
                rows.setdefault(name, row).samples.append(value)
                say(f'{number + 1}: {name} {value:.2f} {row.unit}')
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', type=Path, default=Path('speed.json'))
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--landmarker', type=Path, metavar='FILE', help='face_landmarker.task')
    args = parser.parse_args()
    about = machine()
    rows = measure(args.rounds, args.landmarker, lambda line: print(line, file=sys.stderr))
    print(' · '.join(f'{key} {value}' for key, value in about.items()))
    print(f'{"":44s}{"median":>9s}{"spread":>16s}  {"aim":>6s} {"of aim":>7s}')
    for name, row in rows.items():
        middle = median(row.samples)
        spread = f'{min(row.samples):.2f} … {max(row.samples):.2f}'
        aim = '' if row.aim is None else f'{row.aim:6g} {middle / row.aim:7.2f}'
        print(f'{name:44s}{middle:9.2f}{spread:>16s}  {aim:14s} {row.unit}')
    document = {'machine': about, 'rows': {name: asdict(row) for name, row in rows.items()}}
    write_json(document, args.json)
    print(f'written to {args.json}')


if __name__ == '__main__':
    main()
