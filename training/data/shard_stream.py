"""Batches cut from WebDataset shards (training.data.shards) instead of cached clips.

Samples are read one after the other, as disks and networks like it, into a pool; windows are cut
from the pool by the code that cuts them from clips (SampleStream). Frames stay compressed until a
window needs them.
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import webdataset
from torch.utils.data import get_worker_info

from kf_imitation.errors import SourceError
from training.data import clip_cache
from training.data.face_states import FaceStates
from training.data.shards import FORMAT
from training.data.windows import Batch, SampleSettings, SampleStream, Window, prepare

POOL = 128
# Windows cut from a sample, in the mean, before another takes its place.
WINDOWS_EACH = 4


class CompressedFrames(Sequence[np.ndarray]):
    """Frames that are decoded when they are asked for."""

    def __init__(self, files: list[bytes]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> Any:
        """Return one (H, W, 3) uint8 frame."""
        data = np.frombuffer(self._files[int(index)], np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR)


@dataclass(frozen=True)
class RunSample:
    """One sample of a shard.

    Attributes:
        clip: the run's frames, with labels that reach `lead` frames before them and as far
            behind; frames and regions do not.
        about: the run.json.
    """

    clip: clip_cache.CachedClip
    about: dict[str, Any]

    @property
    def part(self) -> slice:
        """The labels of the frames themselves."""
        lead = self.about['lead']
        return slice(lead, lead + self.about['frames'])

    def own_labels(self) -> FaceStates:
        """Return the labels of the frames themselves."""
        labels, part = self.clip.labels, self.part
        return replace(
            labels,
            blendshapes=labels.blendshapes[part],
            rotation=labels.rotation[part],
            points_px=labels.points_px[part],
            valid=labels.valid[part],
        )

    def window(self, sigma_s: float) -> Window:
        """Smooth the labels as in the whole clip and keep those of the frames."""
        count = len(self.clip.labels.valid)
        # The labels alone decide what `prepare` does; it must take them for one piece.
        around = prepare(replace(self.clip, frames=np.empty(count)), sigma_s)
        part = self.part
        length = part.stop - part.start
        return Window(
            replace(self.clip, labels=self.own_labels()),
            around.state[part],
            around.rotation[part],
            around.points[part],
            around.usable[part],
            np.full(length, length),
        )


def load_index(folder: Path) -> dict[str, Any]:
    """Read index.json of a folder of shards.

    Raises:
        SourceError: it is not there (packing is not finished), not ours, or shards are missing.
    """
    file = folder / 'index.json'
    try:
        index = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise SourceError(
            f'{file} cannot be read ({error}): pack with python -m training.data.shards'
        ) from error
    if index.get('format') != FORMAT:
        raise SourceError(f'{file}: format {index.get("format")}, must be {FORMAT}')
    gone = [name for name in index['shards'] if not (folder / name).is_file()]
    if gone:
        raise SourceError(f'{folder} lacks {", ".join(gone)} of its index')
    return dict(index)


def check(folder: Path, hold_out: Sequence[str]) -> int:
    """Return about how many pairs there are to train on.

    Raises:
        SourceError: no finished set of shards, one that trains on somebody of hold_out (clips or
            people), or hold_out names nobody.
    """
    index = load_index(folder)
    wrong = sorted({*index['people']['train'], *index['clips']['train']} & set(hold_out))
    if wrong:
        raise SourceError(
            f'{folder} trains on {", ".join(wrong)}, which hold_out keeps back: pack again'
        )
    known = {*index['people']['held'], *index['clips']['held']}
    if nobody := sorted(set(hold_out) - known):
        raise SourceError(f'hold_out: {folder} holds back nobody called {", ".join(nobody)}')
    return int(index['frames']['train'])


def read_samples(shards: Sequence[Path], names: tuple[str, ...]) -> Iterator[RunSample]:
    """Yield the samples of shards in their order."""
    if not shards:
        return
    for sample in webdataset.DataPipeline(
        webdataset.SimpleShardList([str(s) for s in shards]), webdataset.tarfile_to_samples()
    ):
        about = json.loads(sample['run.json'])
        with np.load(io.BytesIO(sample['labels.npz'])) as data:
            labels = FaceStates(
                data['blendshapes'],
                names,
                data['rotation'],
                data['points_px'],
                data['valid'],
                about['fps'],
            )
        files = [sample[k] for k in sorted(sample) if k.endswith(('.jpg', '.png'))]
        part = slice(about['lead'], about['lead'] + about['frames'])
        regions = clip_cache.face_regions(labels.points_px[part])
        clip = clip_cache.CachedClip(about['clip'], CompressedFrames(files), labels, regions)
        yield RunSample(clip, about)


def held_clips(folder: Path) -> list[clip_cache.CachedClip]:
    """Put the clips of the people who are not trained on together again."""
    index = load_index(folder)
    shards = [folder / name for name in index['shards'] if name.startswith('held-')]
    runs: dict[str, list[RunSample]] = {}
    for sample in read_samples(shards, tuple(index['names'])):
        runs.setdefault(sample.clip.stem, []).append(sample)
    clips = []
    for stem, parts in sorted(runs.items()):
        parts.sort(key=lambda s: s.about['start'])
        own = [p.own_labels() for p in parts]
        labels = replace(
            own[0],
            blendshapes=np.concatenate([o.blendshapes for o in own]),
            rotation=np.concatenate([o.rotation for o in own]),
            points_px=np.concatenate([o.points_px for o in own]),
            valid=np.concatenate([o.valid for o in own]),
        )
        frames = np.stack([p.clip.frames[i] for p in parts for i in range(len(p.clip.frames))])
        starts = tuple(p.about['start'] for p in parts if p.about['opens_piece'])
        regions = clip_cache.face_regions(labels.points_px)
        clips.append(clip_cache.CachedClip(stem, frames, labels, regions, starts))
    return clips


class ShardStream(SampleStream):
    """Endless stream of the batches of SampleStream, from shards.

    Args:
        folder: of training.data.shards.
        faces, settings, seed, renders: as in SampleStream; the seed is that of all processes.
        rank: of this process.
        world: number of processes.
        pool: samples in memory.

    Raises:
        SourceError: the folder is not a finished set of shards.
    """

    def __init__(
        self,
        folder: Path,
        faces: Path | None,
        settings: SampleSettings,
        seed: int,
        renders: Path | None = None,
        rank: int = 0,
        world: int = 1,
        pool: int = POOL,
    ) -> None:
        self.index = load_index(folder)
        self._names = tuple(self.index['names'])
        order = np.array(self.index['mirror_points'])
        self._set_up(self._names, order, faces, settings, seed, renders)
        self._folder, self._rank, self._world, self._size = folder, rank, world, pool
        self._pools: dict[str, _Pool] = {}

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        cv2.setNumThreads(1)
        self.start(self._rank * workers + worker, self._world * workers)
        rng = np.random.default_rng([self._seed, self._rank, worker])
        while True:
            yield self.batch(rng)

    def start(self, place: int, readers: int) -> None:
        """Begin reading as one of several readers, each of which gets samples of its own."""
        kinds = ['train', *(['animated'] if self._settings.animated else [])]
        for kind in kinds:
            shards = [n for n in self.index['shards'] if n.startswith(f'{kind}-')]
            if shards:
                source = self._windows_of(shards, place, readers)
                self._pools[kind] = _Pool(source, self._size)

    def samples(self, shards: list[str], place: int, readers: int) -> Iterator[RunSample]:
        """Yield the samples of one reader without end, shards in another order every time."""
        epoch = 0
        while True:
            # The same order for all readers: that is what keeps their samples apart.
            order = np.random.default_rng([self._seed, epoch]).permutation(len(shards))
            files = [self._folder / shards[i] for i in order]
            if len(files) >= readers:
                yield from read_samples(files[place::readers], self._names)
            else:
                for i, sample in enumerate(read_samples(files, self._names)):
                    if i % readers == place:
                        yield sample
            epoch += 1

    def _windows_of(
        self, shards: list[str], place: int, readers: int
    ) -> Iterator[tuple[Window, float]]:
        s, waste = self._settings, 0
        for sample in self.samples(shards, place, readers):
            if sample.about['frames'] < s.frames:
                waste += 1
                if waste > sum(self.index['shards'].values()):
                    raise SourceError(f'{self._folder} has no sample of {s.frames} frames')
                continue
            waste = 0
            # As in SampleStream: together the runs of a clip count as its frames to the 0.4.
            weight = sample.about['frames'] * sample.about['clip_frames'] ** -0.6
            kind = sample.about['kind']
            yield sample.window(s.label_sigma_s), 1.0 if kind == 'animated' else weight

    def _draw(self, rng: np.random.Generator) -> Window:
        if 'animated' in self._pools and rng.random() < self._settings.animated:
            return self._pools['animated'].draw(rng)
        return self._pools['train'].draw(rng)


class _Pool:
    """Some samples to draw from; the oldest go first."""

    def __init__(self, source: Iterator[tuple[Window, float]], size: int) -> None:
        self._source, self._size = source, size
        self._items: list[tuple[Window, float]] = []
        self._drawn = self._oldest = 0

    def draw(self, rng: np.random.Generator) -> Window:
        """Return a sample by weight."""
        while len(self._items) < self._size:
            self._items.append(next(self._source))
        self._drawn += 1
        if self._drawn % WINDOWS_EACH == 0:
            self._items[self._oldest] = next(self._source)
            self._oldest = (self._oldest + 1) % self._size
        weight = np.array([w for _, w in self._items])
        return self._items[rng.choice(len(self._items), p=weight / weight.sum())][0]
