"""Fit what tells eyes that are surely seen from eyes that may be hidden, off embeddings.

    .venv/bin/python -m training.landmarks.fit.hidden_eyes [--write]

Before a keyframe says whether it sees the eyes of a face, frames have to
(kf_imitation/expression/hidden_eyes.py). A logistic regression learns it from the train clips as
they are and with dark glasses or patches of skin painted over their eyes (clear.py). What is
printed is of people left out by folds: how often covered eyes are taken for seen, in how many
frames those of others are, and in how many clips that is so within the first five frames.
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kf_imitation.expression.clear_expressions import EMBEDDING, parts_of
from training.landmarks.fit.clear import people_of_clips
from training.landmarks.fit.size import FOLDS, folds_of
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text

Array = NDArray[np.float64]
OFTEN = 0.01  # of covered frames may be taken for seen
DECAY = 1e-3
STEPS = 60
ABOUT = """
Whether eyes may be hidden, by python -m training.landmarks.fit.hidden_eyes: weights (96) and bias
of the mean embedding of both eyes; answers below seen are of eyes that are surely seen.
"""


class Clip(NamedTuple):
    """Mean embeddings of both eyes: (n, 96) as they are, (m, 96) covered."""

    person: str
    free: Array
    covered: Array


def clips_of(folder: Path, cache: Path) -> list[Clip]:
    """Read all train clips, or find what was seen of them before, as clear.py."""
    people_of_clips(folder, cache)
    with (folder / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    found = []
    for row in rows:
        kept = [cache / f'{row["stem"]}{which}.npz' for which in ('', '_covered')]
        if all(path.exists() for path in kept):
            free, covered = (_eyes(path) for path in kept)
            found.append(Clip(row['person'], free, covered))
    return [clip for clip in found if len(clip.free) and len(clip.covered)]


def _eyes(path: Path) -> Array:
    with np.load(path) as file:
        return np.asarray(parts_of(file['embeddings'].astype(np.float64))[:, 1])


def regression(clips: list[Clip]) -> Array:
    """Return weights and bias (97,) of the logistic regression; clips count alike."""
    seen = np.vstack([rows for clip in clips for rows in (clip.free, clip.covered)])
    kinds = [(rows, k) for clip in clips for k, rows in enumerate((clip.free, clip.covered))]
    hidden = np.concatenate([np.full(len(rows), float(k)) for rows, k in kinds])
    weight = np.concatenate([np.full(len(rows), 1 / len(rows)) for rows, _ in kinds])
    middle, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-3
    x = np.column_stack([(seen - middle) / spread, np.ones(len(seen))])
    decay = DECAY * weight.sum() * np.diag([*np.ones(EMBEDDING), 1e-6])
    found = np.zeros(EMBEDDING + 1)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-x @ found))
        slope = x.T @ (weight * (chance - hidden)) + decay @ found
        curve = (x * (weight * chance * (1 - chance))[:, None]).T @ x + decay
        found -= np.linalg.solve(curve, slope)
    weights = found[:-1] / spread
    return np.append(weights, found[-1] - weights @ middle)


def answers(fitted: Array, eyes: Array) -> Array:
    """Return the answers (n,) to mean embeddings (n, 96)."""
    return np.asarray(eyes @ fitted[:-1] + fitted[-1])


def left_out(clips: list[Clip]) -> list[tuple[Array, Array]]:
    """Return the answers to free and covered eyes of each clip, fitted on other people."""
    folds = folds_of([clip.person for clip in clips])
    fits = [regression([c for c in clips if folds[c.person] != fold]) for fold in range(FOLDS)]
    return [
        (answers(fits[folds[c.person]], c.free), answers(fits[folds[c.person]], c.covered))
        for c in clips
    ]


def fitted(clips: list[Clip], asked: list[tuple[Array, Array]] | None = None) -> str:
    """Return the text of the table.

    Args:
        clips: of clips_of.
        asked: of left_out, for the bound; None asks.
    """
    found = regression(clips)
    document = {
        'seen': round(bound(left_out(clips) if asked is None else asked), 3),
        'bias': round(float(found[-1]), 4),
        'weights': rounded(found[:-1]),
    }
    return table_text(ABOUT, document)


def bound(asked: list[tuple[Array, Array]]) -> float:
    """Return the answer below which eyes are surely seen, from answers of left_out."""
    return float(np.quantile(np.concatenate([hidden for _, hidden in asked]), OFTEN))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--cache', type=Path, default=Path('data/clear'))
    add_write_option(parser)
    arguments = parser.parse_args()
    clips = clips_of(arguments.shared / 'clips', arguments.cache)
    asked = left_out(clips)
    least = bound(asked)
    covered = np.concatenate([hidden for _, hidden in asked])
    at_once = sum(bool((free[:5] < least).any()) for free, _ in asked)
    frames = np.mean([(free < least).mean() for free, _ in asked])
    print(
        f'{len(clips)} clips, people left out: of covered frames {(covered < least).mean():.1%} '
        f'are taken for seen; of others {frames:.0%}, in {at_once} clips within five frames'
    )
    settle('hidden_eyes', fitted(clips, asked), arguments.write)


if __name__ == '__main__':
    main()
