"""Fit what tells eyes and mouths that are surely seen from those that may be hidden.

    .venv/bin/python -m training.landmarks.fit.hidden_parts [--write]

Before a keyframe says whether it sees the eyes of a face, frames have to, and what a person
usually looks like is learned where it is seen only (kf_imitation/expression/hidden_parts.py).
Logistic regressions on the embeddings learn it from the train clips as they are and with dark
glasses, masks, fingers or patches of skin painted over them (clear.py). What is printed is of
people left out by folds: in how many frames parts that are not covered are taken for seen, and in
how many clips that is so within the first five frames.
"""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kf_imitation.expression.clear_expressions import EMBEDDING, parts_of
from kf_imitation.expression.hidden_parts import PARTS
from training.landmarks.fit.clear import people_of_clips
from training.landmarks.fit.size import FOLDS, folds_of
from training.landmarks.fit.tables import add_write_option, rounded, settle, table_text

Array = NDArray[np.float64]
Answers = list[tuple[Array, Array]]  # to a free and a covered part of each clip
# Of covered frames so many may be taken for the person's own, and for eyes that are surely seen.
OFTEN = {'mouth': {'own': 0.01}, 'eyes': {'own': 0.05, 'seen': 0.01}}
DECAY = 1e-3
STEPS = 60
ABOUT = """
Whether mouth and eyes may be hidden, by python -m training.landmarks.fit.hidden_parts: weights
(96) and bias of the embedding of the mouth and of the mean of both eyes; answers below own are of
parts that are taken for the person's own, those below seen of eyes that are surely seen.
"""


class Clip(NamedTuple):
    """Embeddings of mouth and eyes: (n, 2, 96) as they are, (m, 2, 96) covered."""

    person: str
    free: Array
    covered: Array

    def of(self, part: int) -> 'Clip':
        """Return one part alone, (n, 96) and (m, 96)."""
        return Clip(self.person, self.free[:, part], self.covered[:, part])


def clips_of(folder: Path, cache: Path) -> list[Clip]:
    """Read all train clips, or find what was seen of them before, as clear.py."""
    people_of_clips(folder, cache)
    with (folder / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == 'train']
    found = []
    for row in rows:
        kept = [cache / f'{row["stem"]}{which}.npz' for which in ('', '_covered')]
        if all(path.exists() for path in kept):
            free, covered = (_parts(path) for path in kept)
            found.append(Clip(row['person'], free, covered))
    return [clip for clip in found if len(clip.free) and len(clip.covered)]


def _parts(path: Path) -> Array:
    with np.load(path) as file:
        return np.asarray(parts_of(file['embeddings'].astype(np.float64)))


def regression(clips: list[Clip]) -> Array:
    """Return weights and bias (97,) of the logistic regression for a part; clips count alike."""
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


def answers(fitted: Array, seen: Array) -> Array:
    """Return the answers (n,) to embeddings (n, 96)."""
    return np.asarray(seen @ fitted[:-1] + fitted[-1])


def left_out(clips: list[Clip]) -> Answers:
    """Return the answers to clips of one part, fitted on other people."""
    folds = folds_of([clip.person for clip in clips])
    fits = [regression([c for c in clips if folds[c.person] != fold]) for fold in range(FOLDS)]
    return [
        (answers(fits[folds[c.person]], c.free), answers(fits[folds[c.person]], c.covered))
        for c in clips
    ]


def fitted(clips: list[Clip], answers: list[Answers] | None = None) -> str:
    """Return the text of the table.

    Args:
        clips: of clips_of.
        answers: of left_out for each of PARTS, for the bounds; None asks.
    """
    document = {}
    for part, name in enumerate(PARTS):
        ones = [clip.of(part) for clip in clips]
        found, asked = regression(ones), left_out(ones) if answers is None else answers[part]
        document[name] = {
            **{which: round(bound(asked, often), 3) for which, often in OFTEN[name].items()},
            'bias': round(float(found[-1]), 4),
            'weights': rounded(found[:-1]),
        }
    return table_text(ABOUT, document)


def bound(asked: Answers, often: float) -> float:
    """Return the answer that so many covered frames stay below, from answers of left_out."""
    return float(np.quantile(np.concatenate([hidden for _, hidden in asked]), often))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--cache', type=Path, default=Path('data/clear'))
    add_write_option(parser)
    arguments = parser.parse_args()
    clips = clips_of(arguments.shared / 'clips', arguments.cache)
    answers = [left_out([clip.of(part) for clip in clips]) for part in range(len(PARTS))]
    for name, asked in zip(PARTS, answers, strict=True):
        for which, often in OFTEN[name].items():
            least = bound(asked, often)
            at_once = sum(bool((free[:5] < least).any()) for free, _ in asked)
            frames = np.mean([(free < least).mean() for free, _ in asked])
            print(
                f'{name}, {which}: of {len(clips)} clips, people left out, {frames:.1%} of frames '
                f'and {at_once} clips within five frames; of covered frames {often:.0%}'
            )
    settle('hidden_parts', fitted(clips, answers), arguments.write)


if __name__ == '__main__':
    main()
