"""Imitation of people whom neither the networks nor the maps of true size have seen.

    .venv/bin/python -m training.landmarks.measure.people_left_out [--json out.json]

Five folds over the people of 27 train clips: the tables channel_size, reflex_size,
clear_expressions and hidden_parts are fitted on the others (fit/size.py and so on), then the clips
of the fold are imitated with them, as in `kf_imitation evaluate --imitation`. A process reads its
tables once, so each fold has its own.
What the models see for the fits is kept in data/, as by their commands.
"""

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kf_imitation import model_files
from kf_imitation.cli.terminal import write_json
from kf_imitation.paths import share_path

EVERY, JITTER = 3, 0.04  # as fit/size.py
FIGURES = (
    'tracking', 'delay_s', 'size_correlation', 'gain', 'ccc', 'rest', 'apex', 'smoothness',
    'reversals_per_s', 'blinks', 'blinks_shown', 'blinks_invented_per_min',
)  # fmt: skip


def main() -> None:
    """Command line."""
    from kf_imitation.evaluation.imitation.figures import means, size_rows
    from training.landmarks.fit import clear, hidden_parts, reflex, size

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--robot', default='sim_face')
    parser.add_argument('--method', default='travel')
    parser.add_argument('--most', type=float, default=12.0, help='first seconds of each clip')
    parser.add_argument('--jobs', type=int, default=1, help='folds at a time')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    clips = arguments.shared / 'clips'
    every, unseen = size.read_signals(clips, EVERY, None, JITTER, Path('data/predictions'))
    reflexes = reflex.signals_of(clips, Path('data/reflex'))
    known = clear.rendered_people(clear.PEOPLE, Path('data/clear'), None)
    known += clear.people_of_clips(clips, Path('data/clear'))
    parts = hidden_parts.clips_of(clips, Path('data/clear'))
    folds = size.folds_of([one.person for one in unseen['jaw_open']])
    stems = {s: p for s, p in size.persons_of(clips).items() if s.startswith(size.UNSEEN)}

    def measured(fold: int) -> dict[str, Any]:
        def others(signals: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
            return {
                name: [one for one in rows if folds.get(one.person) != fold]
                for name, rows in signals.items()
            }

        tables = {
            'channel_size': size.fitted(others(every), others(unseen)),
            'reflex_size': reflex.fitted(others(reflexes)),
            'clear_expressions': clear.fitted(
                [one for one in known if folds.get(one.person) != fold]
            ),
            'hidden_parts': hidden_parts.fitted(
                [one for one in parts if folds.get(one.person) != fold]
            ),
        }
        videos = [clips / 'train' / f'{s}.mp4' for s, p in stems.items() if folds[p] == fold]
        with TemporaryDirectory() as share:
            write_tables(Path(share), tables)
            with ProcessPoolExecutor(1, get_context('spawn'), use_tables, (share,)) as worker:
                what = arguments.robot, arguments.method, arguments.most
                found = worker.submit(imitate, videos, *what).result()
        print(f'fold {fold + 1} of {size.FOLDS}: {len(videos)} clips', flush=True)
        return found

    with ThreadPoolExecutor(arguments.jobs) as jobs:
        found = {k: v for one in jobs.map(measured, range(size.FOLDS)) for k, v in one.items()}
    table = means(found.values())
    rows = size_rows([one.sizes for one in found.values()])
    for name in FIGURES:
        print(f'{name:26s}{table[name]:8.3f}')
    for name, row in rows.items():
        print(f'{name:26s}' + '  '.join(f'{key} {value:.3f}' for key, value in row.items()))
    write_json({'means': table, 'rows': rows}, arguments.json)


def write_tables(share: Path, tables: Mapping[str, str]) -> None:
    """Make a folder like that of the package's models in which some tables are others."""
    from training.landmarks.fit.tables import write_table

    models = share / 'models'
    models.mkdir()
    for file in share_path('models').iterdir():
        (models / file.name).symlink_to(file)
    for name in ('manifest.yaml', *(f'{table}.yaml' for table in tables)):
        text = (models / name).read_text(encoding='utf-8')
        (models / name).unlink()
        (models / name).write_text(text, encoding='utf-8')
    for name, text in tables.items():
        write_table(name, text, models)


def use_tables(share: str) -> None:
    """Let this process find models in a folder of write_tables; before it reads any."""
    vars(model_files)['share_path'] = lambda relative: Path(share) / relative


def imitate(videos: Sequence[Path], robot: str, method: str, most_s: float) -> dict[str, Any]:
    """Imitate clips and return what was measured of each, by its stem."""
    import cv2

    from kf_imitation.evaluation.imitation.clip import ClipReader
    from kf_imitation.evaluation.imitation.imitator import Imitator
    from kf_imitation.robot import load_robot
    from kf_imitation.ros_graph.nodes import merged_parameters

    cv2.setNumThreads(1)
    values = merged_parameters()
    imitator, reader = Imitator(load_robot(robot), values), ClipReader(values)
    return {video.stem: imitator.measure(reader.read(video, most_s), method) for video in videos}


if __name__ == '__main__':
    main()
