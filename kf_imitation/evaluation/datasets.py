"""Clips of a folder, of VoxCeleb, of 300VW and of CAER, found by the layouts they come in.

VoxCeleb  <split>/<id>/<video>/<clip>.mp4  (also with the folder `mp4` of VoxCeleb2)
300VW     <id>/vid.avi with <id>/annot/<frame:06d>.pts
CAER      <train|validation|test>/<Emotion>/<clip>.avi
folder    anything else; clips.csv (stem, person) there or one above may name the people, else each
          clip is of another person; in subfolders nobody is known then
"""

import csv
import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import FloatArray
from kf_imitation.errors import ConfigError, SourceError
from kf_imitation.evaluation.labels import VIDEO_SUFFIXES

EMOTIONS = frozenset({'anger', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise'})
SPLITS = frozenset({'train', 'validation', 'val', 'test', 'dev'})
PTS_POINTS = 68


@dataclass(frozen=True, slots=True)
class Clip:
    """A video of one of the layouts.

    Attributes:
        name: path below the folder, without the ending.
        video: the file.
        labels: where its labels are or would be.
        layout: voxceleb, 300vw, caer or folder.
        split: as published; empty where the layout has none or a part of it was named.
        person: who is seen. CAER names nobody: there it is the clip itself. Empty: not known.
        points: folder of .pts files, or None.
    """

    name: str
    video: Path
    labels: Path
    layout: str
    split: str
    person: str
    points: Path | None = None

    @property
    def key(self) -> str:
        """The name as one file name; in a flat folder the stem."""
        return self.name.replace('/', '__')


def find(path: Path, labels: Path | None = None, labelled: bool = False) -> list[Clip]:
    """Return the clips of a file or folder, sorted by name.

    Args:
        path: a video, a folder of videos or one of the data sets (or a part of it).
        labels: folder that mirrors `path` and holds the label files; None: next to the videos.
        labelled: only clips whose label file is there.

    Raises:
        SourceError: there is nothing, or no such clip.
    """
    if path.is_file():
        root, videos = path.parent, [path]
    elif path.is_dir():
        root = path
        videos = sorted(p for p in path.rglob('*') if p.suffix.lower() in VIDEO_SUFFIXES)
    else:
        raise SourceError(f'{path} is neither a file nor a directory')
    people = _people(root)
    clips = [_clip(root, video, labels, people) for video in videos]
    if labelled:
        clips = [clip for clip in clips if clip.labels.is_file()]
    if not clips and labelled:
        where = f'under {labels}' if labels is not None else 'of the same name next to it'
        raise SourceError(f'{path} holds no video with an .npz {where}')
    if not clips:
        raise SourceError(f'{path} holds no video ({", ".join(VIDEO_SUFFIXES)})')
    return sorted(clips, key=lambda clip: clip.name)


def chosen(clips: Sequence[Clip], patterns: Sequence[str]) -> list[Clip]:
    """Return the clips whose names fit a pattern, where `*` stands for anything; without, all.

    Raises:
        ConfigError: a pattern fits none.
    """
    names = [clip.name for clip in clips]
    if useless := [pattern for pattern in patterns if not fnmatch.filter(names, pattern)]:
        raise ConfigError('--clips', [f'no labelled clip is called {p}' for p in useless])
    return [c for c in clips if not patterns or any(fnmatch.fnmatch(c.name, p) for p in patterns)]


def _clip(root: Path, video: Path, labels: Path | None, people: dict[str, str]) -> Clip:
    relative = video.relative_to(root)
    name = relative.with_suffix('').as_posix()
    file = (labels / relative if labels is not None else video).with_suffix('.npz')
    annotation = video.parent / 'annot'
    if video.stem == 'vid' and annotation.is_dir():
        person = video.parent.name or video.parent.resolve().name
        return Clip(name, video, file, '300vw', '', person, annotation)
    # The folders above a clip show the layout, also when only a part of the set is named.
    above = [part for part in video.resolve().parts[:-1] if part != 'mp4']
    inside = len([part for part in relative.parts[:-1] if part != 'mp4'])
    split = above[-2].lower() if above[-2].lower() in SPLITS else ''
    if above[-1].lower() in EMOTIONS and (inside >= 1 or split):
        return Clip(name, video, file, 'caer', split, '/'.join([split, above[-1], video.stem]))
    if inside >= 2 or re.fullmatch(r'id\d+', above[-2]):
        split = above[-3].lower() if above[-3].lower() in SPLITS else ''
        return Clip(name, video, file, 'voxceleb', split, above[-2])
    nobody = '' if inside else video.stem
    return Clip(name, video, file, 'folder', '', people.get(video.stem, nobody))


def people_named(clips: Sequence[Clip], names: Sequence[str]) -> set[str]:
    """Return the people to hold out.

    Args:
        clips: all.
        names: of clips (`key`) or of people.

    Raises:
        SourceError: a name is nobody's, or it is not known who is seen in a clip.
    """
    unknown = [clip.name for clip in clips if not clip.person]
    if unknown:
        raise SourceError(
            f'who is seen in {unknown[0]} and {len(unknown) - 1} more clips of subfolders? Name '
            'the folder of the data set itself (VoxCeleb: that of its <split> or <id> folders), '
            'one flat folder, or the people in clips.csv (stem, person)'
        )
    known = {name for clip in clips for name in (clip.key, clip.person)}
    if nobody := [name for name in names if name not in known]:
        raise SourceError(f'hold_out: no clip or person is called {", ".join(nobody)}')
    return {clip.person for clip in clips if clip.key in names or clip.person in names}


def _people(root: Path) -> dict[str, str]:
    for file in (root / 'clips.csv', root.resolve().parent / 'clips.csv'):
        if file.is_file():
            with file.open(newline='', encoding='utf-8') as lines:
                rows = list(csv.DictReader(lines))
            return {row['stem']: row['person'] for row in rows if row.get('person')}
    return {}


def read_pts(file: Path) -> FloatArray:
    """Read one .pts file of 68 points.

    Returns:
        (68, 2) float32 pixels from 0 (the files count from 1).

    Raises:
        SourceError: it cannot be read or is not such a file.
    """
    try:
        text = file.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f'points {file} cannot be read: {error}') from error
    match = re.fullmatch(
        r'\s*version:\s*1\s+n_points:\s*(\d+)\s*\{([^{}]*)\}\s*', text, re.IGNORECASE
    )
    if match is None:
        raise SourceError(f'points {file}: must be "version: 1", "n_points: 68" and {{ x y … }}')
    try:
        values = np.array([float(word) for word in match[2].split()], np.float32)
    except ValueError as error:
        raise SourceError(f'points {file}: {error}') from error
    if int(match[1]) != PTS_POINTS or values.size != 2 * PTS_POINTS:
        raise SourceError(
            f'points {file}: n_points {match[1]} and {values.size} numbers, must be '
            f'{PTS_POINTS} and {2 * PTS_POINTS}'
        )
    if not np.isfinite(values).all():
        raise SourceError(f'points {file}: all coordinates must be finite')
    return values.reshape(PTS_POINTS, 2) - 1


def read_points(folder: Path, frames: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Read the annotation of a 300VW video; file 000001.pts belongs to the first frame.

    Args:
        folder: `annot` of a video.
        frames: of the video.

    Returns:
        (N, 68, 2) float32 pixels, zero where there is none, and (N,) whether there is one.

    Raises:
        SourceError: a file is broken.
    """
    points = np.zeros((frames, PTS_POINTS, 2), np.float32)
    known = np.zeros(frames, np.bool_)
    for number, file in _numbered(folder):
        if 1 <= number <= frames:
            points[number - 1] = read_pts(file)
            known[number - 1] = True
    return points, known


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    for file in sorted(folder.glob('*.pts')):
        if file.stem.isdecimal():
            yield int(file.stem), file
