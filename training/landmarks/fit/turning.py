"""Fit how much channels move when a neutral face only turns, and write it as a table.

Rendered people of neutral expression turn their heads; ridge regression of what the raw channels
move by against the solved angles. The table is models/channel_turning.yaml:

    .venv/bin/python -m training.landmarks.fit.turning --write

The people are others than those of measure/renders.py. Run it after pose.py and channels.py,
whose results are in what it reads. Renders are not people: what a new row costs on held-out
training people (python -m training.landmarks.measure --clips) has to be weighed against what it
saves, and --only leaves the rows of other channels as they are.
"""

import argparse
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from face_renderer.demo import demo_actor
from face_renderer.face_model import FaceModel, default_path
from kf_imitation.data_types import CHANNELS, HEAD_CHANNELS
from kf_imitation.expression.channels import TURNED, raw_channels, turn_features
from kf_imitation.face.canonical_region import canonical_region
from kf_imitation.face_geometry.head_pose import solve_head_pose
from kf_imitation.model_files import load_table
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text
from training.landmarks.measure.renders import PITCHES_DEG, YAWS_DEG, Reader, draw

Array = NDArray[np.float64]
FIRST_SEED = 20
RIDGE = 0.02
SIDEWAYS_DEG = ((25.0, 12.0), (-25.0, 12.0), (25.0, -12.0), (-25.0, -12.0))


def turned_people(count: int, reader: Reader) -> list[Array]:
    """Raw channels (n, 19) of each person, the frontal face first; the table is not applied."""
    face = FaceModel.load(default_path())
    angles = [(0.0, 0.0), *((float(y), 0.0) for y in YAWS_DEG)]
    angles += [*((0.0, float(p)) for p in PITCHES_DEG), *SIDEWAYS_DEG]
    people = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        actor = demo_actor(face, seed)
        rows = []
        for yaw, pitch in angles:
            bgr, points = draw(actor, yaw, pitch)
            found, _ = reader.read(bgr, canonical_region(points))
            pose = solve_head_pose(found, reader.camera)
            rows.append(raw_channels(found, pose, turning=False))
        people.append(np.array(rows))
    return people


def fit(people: list[Array]) -> dict[str, Array]:
    """Weights on TURNED's features by base name of the channel, the same for both sides."""
    weights = {}
    angles = [CHANNELS.index(name) for name in HEAD_CHANNELS]
    for base in TURNED:
        xs, ys = [], []
        for raw in people:
            for side, sign in (('left', 1.0), ('right', -1.0)):
                x = np.array([turn_features(*(row[angles[:2]] * (sign, 1.0))) for row in raw])
                y = raw[:, CHANNELS.index(f'{base}_{side}')]
                xs.append(x - x[0])
                ys.append(y - y[0])
        x, y = np.vstack(xs), np.concatenate(ys)
        gram = x.T @ x / len(x)
        weights[base] = np.linalg.solve(
            gram + RIDGE * np.diag((x * x).mean(axis=0)), x.T @ y / len(x)
        )
    return weights


ABOUT = """
What turning the head moves a channel by, by python -m training.landmarks.fit.turning.
Raw units on the features of turn_features (kf_imitation/expression/channels.py).
"""


def table(weights: Mapping[str, Sequence[float] | Array]) -> str:
    """Return the text of the table."""
    return table_text(ABOUT, {base: rounded(values, 3) for base, values in weights.items()})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--people', type=int, default=3)
    parser.add_argument('--only', nargs='+', choices=TURNED, help='keep the table of the others')
    add_write_option(parser)
    arguments = parser.parse_args()
    wanted = arguments.only or TURNED
    cv2.setNumThreads(1)
    people = turned_people(
        arguments.people, Reader('landmarks_pfld', 'landmarks_eyes', 'landmarks_parts')
    )
    fitted = fit(people)
    kept = load_table('channel_turning')
    settle(
        'channel_turning',
        table({base: fitted[base] if base in wanted else kept[base] for base in kept}),
        arguments.write,
    )


if __name__ == '__main__':
    main()
