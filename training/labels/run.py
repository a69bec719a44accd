"""Label videos with the MediaPipe face landmarker: the truth that keyframe models learn.

    python -m training.labels VIDEO… [--labels DIR] [--views 1|4] [--jobs N | --ray [ADDRESS]]

VIDEO is a file, a folder of videos, or a folder of VoxCeleb, 300VW or CAER. Labels go next to each
video, or under --labels with the same paths. Videos that have labels are skipped, so a run that
was stopped goes on where it was.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from kf_imitation.errors import KfImitationError, SourceError
from kf_imitation.evaluation import datasets
from training.labels.jobs import run_local, run_ray
from training.labels.video import VIEWS, check_teacher, label_video

MODEL_VARIABLE = 'KF_IMITATION_FACE_LANDMARKER'
MODEL = '../shared/models/face_landmarker.task'
KEYS = ('blendshapes', 'names', 'head_pose', 'landmarks_q', 'valid', 'fps', 'size', 'mode')


@dataclass(frozen=True)
class Task:
    """One video to label."""

    clip: datasets.Clip
    model: Path
    views: int


def work(task: Task) -> dict[str, int]:
    """Label one video; runs in a process of its own or on a node."""
    return label_video(task.clip, task.model, task.views)


def find(videos: Sequence[Path], labels: Path | None) -> list[datasets.Clip]:
    """Return the clips of all arguments, each video once.

    Raises:
        SourceError: names every argument that holds no video.
    """
    clips: dict[Path, datasets.Clip] = {}
    faults = []
    for path in videos:
        try:
            for clip in datasets.find(path, labels):
                clips.setdefault(clip.video.resolve(), clip)
        except SourceError as error:
            faults.append(str(error))
    targets: dict[Path, Path] = {}
    for clip in clips.values():
        other = targets.setdefault(clip.labels.resolve(), clip.video)
        if other != clip.video:
            faults.append(f'{other} and {clip.video} would both have the labels {clip.labels}')
    if faults:
        raise SourceError('\n'.join(faults))
    return list(clips.values())


def finished(labels: Path) -> bool:
    """Whether a whole label file is there."""
    try:
        with np.load(labels, allow_pickle=False) as data:
            return all(key in data for key in KEYS)
    except (OSError, ValueError, BadZipFile):
        return False


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m training.labels',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('videos', nargs='+', type=Path, metavar='VIDEO')
    parser.add_argument('--labels', type=Path, metavar='DIR', help='write the labels here')
    parser.add_argument('--views', type=int, choices=VIEWS, default=4, help='views of each frame')
    parser.add_argument(
        '--model',
        type=Path,
        default=Path(os.environ.get(MODEL_VARIABLE, MODEL)),
        help=f'face_landmarker.task (default: ${MODEL_VARIABLE}, else {MODEL})',
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument('--jobs', type=int, default=os.cpu_count() or 1, help='videos at once')
    where.add_argument(
        '--ray',
        nargs='?',
        const='local',
        metavar='ADDRESS',
        help='on a Ray cluster; without an address Ray is started on this machine',
    )
    parser.add_argument('--overwrite', action='store_true', help='label finished videos again')
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f'--jobs = {options.jobs} must be 1 or more')
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Label videos.

    Returns:
        0; 1 when videos failed, which are listed; 2 on bad input.
    """
    options = parse(arguments)
    console = Console(stderr=True, soft_wrap=True)
    failed: list[str] = []
    frames = valid = 0
    try:
        check_teacher(options.model)
        clips = find(options.videos, options.labels)
        left = [c for c in clips if options.overwrite or not finished(c.labels)]
        # Workers may run in another folder.
        tasks = [Task(_absolute(c), options.model.resolve(), options.views) for c in left]
        if options.ray is not None:
            outcomes = run_ray(work, tasks, options.ray)
        else:
            outcomes = run_local(work, tasks, min(options.jobs, max(1, len(tasks))))
        with _progress(console) as progress:
            bar = progress.add_task('label', total=len(tasks))
            for task, result, error in outcomes:
                progress.update(bar, advance=1, description=task.clip.name)
                if error is None:
                    frames, valid = frames + result['frames'], valid + result['valid']
                else:
                    failed.append(
                        error if str(task.clip.video) in error else f'{task.clip.video}: {error}'
                    )
                    progress.console.print(failed[-1], style='red', markup=False)
    except KfImitationError as error:
        console.print(str(error), style='red', markup=False, highlight=False)
        return 2
    done = len(tasks) - len(failed)
    print(
        f'{done} videos labelled, {valid} of {frames} frames show a face; '
        f'{len(clips) - len(tasks)} were finished before; {len(failed)} failed'
    )
    for line in sorted(failed):
        print(f'  {line}', file=sys.stderr)
    return 1 if failed else 0


def _absolute(clip: datasets.Clip) -> datasets.Clip:
    points = clip.points.resolve() if clip.points is not None else None
    return datasets.Clip(
        clip.name,
        clip.video.resolve(),
        clip.labels.resolve(),
        clip.layout,
        clip.split,
        clip.person,
        points,
    )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        Remaining(),
        console=console,
    )


if __name__ == '__main__':
    # The functions must be importable by name in other processes.
    from training.labels.run import main as _main

    sys.exit(_main())
