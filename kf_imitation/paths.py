"""Paths: what a user means by one, where the package's own files are, what it remembers.

Those are in the source tree, an ament prefix, or a pip environment.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

_PACKAGE = Path(__file__).resolve().parent


def share_directory() -> Path:
    """Return the folder that holds config/, launch/, models/, urdf/ and media/.

    In a source tree that is the repository itself, so that edits take effect at once. Elsewhere
    it is share/kf_imitation of the prefix the package was installed to, then of every prefix in
    AMENT_PREFIX_PATH, then of the Python environment.

    Raises:
        FileNotFoundError: the installation lacks its share files.
    """
    source_tree = _PACKAGE.parent
    if (source_tree / 'package.xml').is_file() and (source_tree / 'setup.py').is_file():
        return source_tree
    prefixes = [*_PACKAGE.parents]
    prefixes += [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    prefixes.append(Path(sys.prefix))
    for prefix in prefixes:
        candidate = prefix / 'share' / 'kf_imitation'
        if (candidate / 'package.xml').is_file():
            return candidate
    raise FileNotFoundError('share/kf_imitation is missing: install the package again')


def share_path(relative: str) -> Path:
    """Return the path of one of the package's own files; it need not exist."""
    return share_directory() / relative


def user_path(text: str | Path, folder: Path | None = None) -> Path:
    """Return the path that a user means: `~`, `file://` with %20, relative to where it stands.

    Every path that a user gives passes through here.

    Args:
        text: as given.
        folder: of the file that names it; None for the command line.
    """
    name = str(text)
    if name.lower().startswith('file://'):
        rest = name[len('file://') :].removeprefix('localhost')
        name = rest if Path(rest).exists() else unquote(rest)
    path = Path(name)
    with suppress(RuntimeError):  # nobody has this name, or no home
        path = path.expanduser()
    return path if folder is None else folder / path


user_path.__name__ = 'path'  # argparse names it in its messages


def state_directory() -> Path:
    """Return the folder for what the package remembers of this user; it need not exist."""
    home = os.environ.get('XDG_STATE_HOME') or Path.home() / '.local' / 'state'
    return Path(home) / 'kf_imitation'
