"""The report as a file: about one run, or two of them compared."""

from collections.abc import Sequence
from pathlib import Path

from kf_imitation.errors import ConfigError
from kf_imitation.output_files import check_free, new_file
from kf_imitation.reporting import comparison, page
from kf_imitation.reporting.data import read_run
from kf_imitation.reporting.playback import Reached
from kf_imitation.robot import load_robot


def write_report(
    paths: Sequence[Path],
    out: Path | None = None,
    robot_name: str = 'sim_face',
    labels: Path | None = None,
    overwrite: bool = False,
    images: bool = True,
    reached: Reached = lambda share: None,
) -> Path:
    """Write the page about a run, or about two.

    Args:
        paths: bags, or folders of replays.
        out: page to write; None: default_place().
        robot_name: whose joints they hold.
        labels: of the clip, for E_n and E_l; None: without them, or those next to the source.
        overwrite: replace a page that exists.
        images: show the person.
        reached: told how much of the work is done, 0 to 1.

    Returns:
        Where the page is.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    if len(paths) not in (1, 2):
        named = f'{len(paths)} runs were named; one is shown, or two are compared'
        raise ConfigError('report', [named])
    out = out or default_place(paths)
    check_free(out, overwrite, list(paths))
    robot, alone = load_robot(robot_name), len(paths) == 1
    runs = []
    for before, path in enumerate(paths):

        def part(share: float, before: int = before) -> None:
            reached((before + share) / len(paths))

        runs.append(read_run(path, robot, labels, images, alone, part))
    places = [str(path) for path in paths]
    text = page.page(*runs) if alone else comparison.page((places[0], places[1]), *runs)
    with new_file(out, overwrite) as partial:
        partial.write_text(text, encoding='utf-8')
    return out


def default_place(paths: Sequence[Path]) -> Path:
    """Return where the page goes: into the folder of one replay, else next to the first run."""
    first = paths[0]
    if len(paths) == 1 and (first / 'run.json').is_file():
        return first / 'report.html'
    return first.with_name(f'{"-".join(path.stem for path in paths)}-report.html')
