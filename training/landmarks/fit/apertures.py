"""Fit how far lids are shut and a mouth is open at each value of its channel; write a table.

Medians of the train clips' label points over their own labels, each person counting alike, made to
rise (isotonic regression). The table is models/apertures.yaml:

    .venv/bin/python -m training.landmarks.fit.apertures --write

Lids are measured against the person's own open eyes, the mouth against the widest opening; what a
mouth opens without its jaw is left out, as a head whose lips do not part cannot show it, and so is
the little jaw that shut mouths are labelled with.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from kf_imitation.data_types import CHANNELS, FloatArray
from kf_imitation.evaluation.channel_labels import label_channels, mouth_aperture
from kf_imitation.evaluation.labels import load_labels
from training.landmarks.fit.size import persons_of
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text

Array = NDArray[np.float64]
# Points of the face mesh: upper and lower lid, then the eye's corners.
EYES = {
    'left': (((386, 374), (385, 380), (387, 373)), (362, 263)),
    'right': (((159, 145), (158, 153), (160, 144)), (33, 133)),
}
OPEN = 0.15  # labels of open eyes
SHUT = 0.8  # from here on, what is left between the points is their thickness
BIN = 0.05
FEWEST, FEWEST_PEOPLE = 3, 4  # frames of a person, people of a bin
VALUES = {
    'eye_close': (0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    'jaw_open': (0.2, 0.4, 0.6),  # talk parts the lips at 0.1 already, without the jaw
}
SHUT_MOUTH, SHUT_JAW = 0.05, 0.9  # aperture of a shut mouth, and how many of them have less jaw
RISE = 0.1  # slope at least, so that a pose says which value it shows
ABOUT = """
How far lids are shut (eye_close) and a mouth is open (jaw_open) at each value of the channel, as
points of value and share, by python -m training.landmarks.fit.apertures.
"""


def lid_gaps(landmarks_px: FloatArray, side: str) -> Array:
    """Return the distance of the lids over the length of the eye, (N,).

    Args:
        landmarks_px: (N, 478, 3) float32.
        side: of the person, 'left' or 'right'.
    """
    points = landmarks_px[..., :2].astype(np.float64)

    def distance(a: int, b: int) -> Array:
        return np.asarray(np.linalg.norm(points[:, a] - points[:, b], axis=-1))

    pairs, corners = EYES[side]
    return np.asarray(np.mean([distance(a, b) for a, b in pairs], axis=0) / distance(*corners))


def of_people(rows: Mapping[str, Sequence[tuple[Array, Array]]]) -> tuple[Array, Array]:
    """Return the middles of bins of a channel and, in each, the median over people.

    Args:
        rows: of each person, some pairs of the channel's values and what was measured with them.
    """
    people = [np.concatenate([np.stack(pair) for pair in own], axis=1) for own in rows.values()]
    edges = np.arange(0.0, 1.0, BIN)
    found = []
    for low in edges:
        inside = [shown[(v >= low) & (v < low + BIN)] for v, shown in people]
        own = [np.median(shown) for shown in inside if len(shown) >= FEWEST]
        found.append(np.median(own) if len(own) >= FEWEST_PEOPLE else np.nan)
    known = np.isfinite(found)
    return (edges + BIN / 2)[known], np.array(found)[known]


def curve(
    values: Array, shares: Array, at: Sequence[float], shut: float = 0.0
) -> list[tuple[float, float]]:
    """Return points (value, share) from (0, 0) to (1, 1) through medians that rise.

    Args:
        values: of the channel, rising.
        shares: of the whole way at each.
        at: values of the points.
        shut: value up to which it mostly is noise.
    """
    rising = isotonic_regression(shares).x
    points = [(0.0, 0.0)] + [(round(shut, 2), RISE * shut)] * (shut > 0.0)
    for value in at:
        share = float(np.clip(np.interp(value, values, rising), 0.0, 1.0))
        least = points[-1][1] + RISE * (value - points[-1][0])
        points.append((value, float(np.clip(share, least, 1.0 - RISE * (1.0 - value)))))
    return [*points, (1.0, 1.0)]


def fitted(clips: Path) -> dict[str, list[tuple[float, float]]]:
    """Return the points of both channels, from the labels of the train clips."""
    eyes: dict[str, list[tuple[Array, Array]]] = {}
    mouths: dict[str, list[tuple[Array, Array]]] = {}
    for stem, person in persons_of(clips).items():
        labels = load_labels(clips / 'train' / f'{stem}.npz')
        seen = labels.valid
        points, poses = labels.landmarks_px[seen], labels.head_pose[seen]
        channels = label_channels(labels.blendshapes[seen], labels.names, poses)
        for side in EYES:
            closed = channels[:, CHANNELS.index(f'eye_close_{side}')]
            gap = lid_gaps(points, side)
            awake = closed < OPEN
            if awake.sum() >= FEWEST:
                eyes.setdefault(person, []).append((closed, gap / np.median(gap[awake])))
        jaw = channels[:, CHANNELS.index('jaw_open')]
        mouths.setdefault(person, []).append((jaw, mouth_aperture(points, poses)))

    values, gaps = of_people(eyes)
    shut = np.median(gaps[values >= SHUT]) if (values >= SHUT).any() else gaps.min()
    at_jaw, opened = of_people(mouths)
    jaw, aperture = np.concatenate([np.stack(pair) for own in mouths.values() for pair in own], 1)
    shut_jaw = float(np.quantile(jaw[aperture < SHUT_MOUTH], SHUT_JAW))
    return {
        'eye_close': curve(values, (1.0 - gaps) / (1.0 - shut), VALUES['eye_close']),
        'jaw_open': curve(
            at_jaw, (opened - opened[0]) / (1.0 - opened[0]), VALUES['jaw_open'], shut_jaw
        ),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips'))
    add_write_option(parser)
    arguments = parser.parse_args()
    document = {name: rounded(points, 3) for name, points in fitted(arguments.clips).items()}
    settle('apertures', table_text(ABOUT, document), arguments.write)


if __name__ == '__main__':
    main()
