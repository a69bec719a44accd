"""Cached clips and animated photographs packed into WebDataset shards.

`python -m training.data.shards --clips ../shared/data/clips/train --out data/shards`

One sample is a run of consecutive frames of one person:

    <clip>@<first frame>.00000.jpg, .00001.jpg …   the frames (or .png, without loss)
    <clip>@<first frame>.labels.npz                labels of the frames and of some around them
    <clip>@<first frame>.run.json                  clip, person, kind, first frame, length, fps

Shards are train-*.tar (each face found in every frame), animated-*.tar and held-*.tar (people
who are never trained on, whole). index.json is written last. The same clips, options and seed
give the same bytes. Started again, shards that are there are kept.
"""

import argparse
import functools
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import webdataset
import yaml

from kf_imitation.errors import KfImitationError, SourceError
from kf_imitation.evaluation import datasets
from training.data import clip_cache, face_mesh
from training.data.face_mesh import MOTION_POINTS

FORMAT = 3
KINDS = ('train', 'animated', 'held')
# Labels are stored beyond both ends of a run, so that smoothing them gives what it gives in the
# whole clip: the filter of label_sigma_s <= 0.06 s reaches four sigma.
MARGIN_S = 0.25
# A shorter stretch with a face is not worth a sample.
SHORTEST = 8


@dataclass(frozen=True)
class Run:
    """Consecutive frames of one cached clip.

    Attributes:
        array: the cached clip.
        clip: its name.
        person: who is seen.
        kind: one of KINDS.
        start: first frame.
        stop: one past the last.
        piece: first and one past the last frame of the continuous piece around it.
        clip_frames: frames of the clip, for its weight.
    """

    array: str
    clip: str
    person: str
    kind: str
    start: int
    stop: int
    piece: tuple[int, int]
    clip_frames: int

    @property
    def key(self) -> str:
        """Name of the sample; WebDataset ends a key at the first dot."""
        return f'{self.clip.replace(".", "_")}@{self.start:07d}'


def cut_runs(array: Path, person: str, kind: str, length: int) -> Iterator[Run]:
    """Yield the runs of a cached clip.

    Args:
        array: the cached clip.
        person: who is seen.
        kind: 'held' keeps every frame; else stretches in which each frame shows a face.
        length: frames of a run; the last of a stretch has up to half as many more.
    """
    clip = clip_cache.load(array)
    for piece in clip.pieces():
        good = clip.labels.valid[piece] | (kind == 'held')
        edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(int), [0]])))
        for first, last in edges.reshape(-1, 2) + piece.start:
            if last - first < SHORTEST and kind != 'held':
                continue
            cuts = np.linspace(first, last, max(1, round((last - first) / length)) + 1)
            for start, stop in zip(cuts.astype(int)[:-1], cuts.astype(int)[1:], strict=True):
                yield Run(
                    str(array),
                    clip.stem,
                    person,
                    kind,
                    int(start),
                    int(stop),
                    (piece.start, piece.stop),
                    len(clip.frames),
                )


@functools.lru_cache(maxsize=8)
def _open(array: str) -> clip_cache.CachedClip:
    return clip_cache.load(Path(array))


def encode(run: Run, ending: str) -> dict[str, Any]:
    """Make the WebDataset sample of a run.

    Args:
        run: to be packed.
        ending: 'jpg' (quality 95) or 'png'.
    """
    clip = _open(run.array)
    labels = clip.labels
    margin = int(np.ceil(MARGIN_S * labels.fps))
    first, last = max(run.piece[0], run.start - margin), min(run.piece[1], run.stop + margin)
    around = slice(first, last)
    file = io.BytesIO()
    np.savez(
        file,
        blendshapes=labels.blendshapes[around],
        rotation=labels.rotation[around],
        points_px=labels.points_px[around],
        valid=labels.valid[around],
    )
    about = {
        'clip': run.clip,
        'person': run.person,
        'kind': run.kind,
        'start': run.start,
        'frames': run.stop - run.start,
        'lead': run.start - first,
        'opens_piece': run.start == run.piece[0],
        'clip_frames': run.clip_frames,
        'fps': labels.fps,
    }
    sample = {'__key__': run.key, 'labels.npz': file.getvalue()}
    sample['run.json'] = json.dumps(about).encode()
    flags = [cv2.IMWRITE_JPEG_QUALITY, 95] if ending == 'jpg' else []
    for i, frame in enumerate(clip.frames[run.start : run.stop]):
        sample[f'{i:05d}.{ending}'] = cv2.imencode(f'.{ending}', frame, flags)[1].tobytes()
    return sample


def write_shard(target: Path, runs: Sequence[Run], ending: str) -> Path:
    """Write one shard; it has its name only when it is whole."""
    temporary = target.with_suffix(f'.{os.getpid()}.tmp')
    try:
        with temporary.open('wb') as file, webdataset.TarWriter(file, mtime=0) as writer:
            for run in runs:
                writer.write(encode(run, ending))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def plan(
    clips: Sequence[tuple[Path, str, str]], length: int, per_shard: int, seed: int
) -> dict[str, list[Run]]:
    """Deal the runs of (array, person, kind) out to shards, in an order the seed decides."""
    shards: dict[str, list[Run]] = {}
    for kind in KINDS:
        runs = [r for a, p, k in clips if k == kind for r in cut_runs(a, p, k, length)]
        if kind != 'held':
            order = np.random.default_rng([seed, KINDS.index(kind)]).permutation(len(runs))
            runs = [runs[i] for i in order]
        for first in range(0, len(runs), per_shard):
            name = f'{kind}-{first // per_shard:05d}.tar'
            shards[name] = runs[first : first + per_shard]
    return shards


def pack(
    clips: Sequence[tuple[Path, str, str]],
    out: Path,
    length: int = 64,
    per_shard: int = 128,
    seed: int = 1,
    ending: str = 'jpg',
    workers: int = 1,
) -> dict[str, Any]:
    """Write the shards and their index.

    Args:
        clips: cached array, person and kind of every clip.
        out: folder of the shards.
        length: frames of a run.
        per_shard: runs of a shard.
        seed: of the order of the runs.
        ending: 'jpg' or 'png'.
        workers: processes.

    Returns:
        The index.

    Raises:
        SourceError: nothing to train on, or `out` holds shards of other clips or options.
    """
    shards = plan(clips, length, per_shard, seed)
    train = [clip_cache.load(a).labels for a, _, kind in clips if kind == 'train']
    if not any(name.startswith('train') for name in shards):
        raise SourceError(f'{out}: no person to train on has {SHORTEST} frames with a face')
    some = np.concatenate([labels.points_px[labels.valid][::10] for labels in train])
    settings = {'format': FORMAT, 'seed': seed, 'ending': ending, 'margin_s': MARGIN_S}
    index: dict[str, Any] = {
        **settings,
        'names': list(train[0].names),
        'mirror_points': face_mesh.mirror_order(some, MOTION_POINTS).tolist(),
        'people': {k: sorted({p for _, p, kind in clips if kind == k}) for k in KINDS},
        'clips': {k: sorted({a.stem for a, _, kind in clips if kind == k}) for k in KINDS},
        'frames': {
            k: sum(r.stop - r.start for runs in shards.values() for r in runs if r.kind == k)
            for k in KINDS
        },
        'shards': {name: len(runs) for name, runs in shards.items()},
    }
    document = {**settings, 'shards': {n: [asdict(r) for r in rs] for n, rs in shards.items()}}
    text = json.dumps(document, indent=1)
    out.mkdir(parents=True, exist_ok=True)
    started = out / 'plan.json'
    if started.exists() and started.read_text() != text:
        raise SourceError(f'{out} holds shards of other clips or options: take another --out')
    _write(started, text)
    missing = [name for name in shards if not (out / name).exists()]
    if len(missing) < len(shards):
        print(f'{len(shards) - len(missing)} shards are there already and are kept')
    with ProcessPoolExecutor(workers, get_context('spawn')) as pool:
        every = map if workers == 1 else pool.map
        jobs = [out / n for n in missing], [shards[n] for n in missing], [ending] * len(missing)
        for i, file in enumerate(every(write_shard, *jobs), 1):
            print(f'{i}/{len(missing)} {file} {file.stat().st_size / 1e6:.0f} MB', flush=True)
    _write(out / 'index.json', json.dumps(index, indent=1))
    return index


def _write(target: Path, text: str) -> None:
    temporary = target.with_suffix('.tmp')
    temporary.write_text(text, encoding='utf-8')
    os.replace(temporary, target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack a folder of labelled clips; 2 when something is wrong with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/train'))
    parser.add_argument('--labels', type=Path, help='label files, mirroring the clips')
    parser.add_argument('--cache', type=Path, default=Path('data/clips'))
    parser.add_argument('--animated', type=Path, default=Path('data/animated'))
    parser.add_argument('--out', type=Path, default=Path('data/shards'))
    parser.add_argument('--hold-out', nargs='*', help='clips or people; none: those of --config')
    parser.add_argument(
        '--config', type=Path, default=Path('training/keyframe/train/configs/default.yaml')
    )
    parser.add_argument('--frames', type=int, default=64, help='of a sample')
    parser.add_argument('--samples', type=int, default=128, help='of a shard')
    parser.add_argument('--format', choices=('jpg', 'png'), default='jpg', dest='ending')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--workers', type=int, default=1, help='processes')
    options = parser.parse_args(arguments)
    faults = []
    if options.frames < SHORTEST:
        faults.append(f'--frames {options.frames}: must be {SHORTEST} or more')
    for name in ('samples', 'workers'):
        if getattr(options, name) < 1:
            faults.append(f'--{name} {getattr(options, name)}: must be 1 or more')
    if faults:
        parser.error('; '.join(faults))
    names = options.hold_out
    if names is None:
        names = yaml.safe_load(options.config.read_text()).get('hold_out', [])
    try:
        found = datasets.find(options.clips, options.labels, labelled=True)
        held = datasets.people_named(found, names)
        clips = [
            (
                clip_cache.build_clip(c, options.cache),
                c.person,
                'held' if c.person in held else 'train',
            )
            for c in found
        ]
        for array in sorted(options.animated.glob('animated_*.npy')):
            clips.append((array, array.stem, 'animated'))
        index = pack(
            clips,
            options.out,
            options.frames,
            options.samples,
            options.seed,
            options.ending,
            options.workers,
        )
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    people = {k: len(v) for k, v in index['people'].items() if k != 'animated'}
    print(f'{len(index["shards"])} shards in {options.out}: {index["frames"]} frames of {people}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
