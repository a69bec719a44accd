"""Results appear whole or not at all: written next to their place, moved there at the end.

A folder of results holds a list of the files that a run wrote (RECORD). Overwriting removes those
and nothing else: what somebody else put into the folder stays, and so does the source of the run.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kf_imitation.errors import BagError, KfImitationError

# In a folder of results: the files that a run wrote there, one relative path a line.
RECORD = '.written-by-kf_imitation'


class OutputError(KfImitationError):
    """A result cannot be written, or is in the way of one."""


@contextmanager
def new_folder(
    path: Path, overwrite: bool = False, sources: Sequence[Path] = (), names: Sequence[str] = ()
) -> Iterator[Path]:
    """Give a temporary folder to fill, which becomes `path` when the body ends without an error.

    After an error or Ctrl-C the temporary folder is gone, and what was at `path` is untouched.

    Args:
        path: folder to make, with its parents; of a link its target is filled.
        overwrite: replace the results of a former run.
        sources: what the run reads.
        names: of the files and folders that it will write.

    Raises:
        OutputError: as check_folder, or it cannot be written.
    """
    check_folder(path, overwrite, sources, names)
    place = path.resolve() if path.exists() else path
    with _as_output_error(path):
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial_path(place)
        partial.mkdir()
        try:
            yield partial
            _replace(partial, place)
        except BagError as error:  # names the place where the bag is now, which is removed
            raise BagError(str(error).replace(str(partial), str(path))) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def new_file(
    path: Path, overwrite: bool | None = False, sources: Sequence[Path] = ()
) -> Iterator[Path]:
    """Give a temporary file name with the same ending, which becomes `path` in the end.

    Args:
        path: file to make, with its parents; of a link its target is replaced.
        overwrite: replace a file that is there.
        sources: what the run reads.

    Raises:
        OutputError: as check_free, or it cannot be written.
    """
    check_free(path, overwrite, sources)
    place = path.resolve() if path.is_symlink() else path
    with _as_output_error(path):
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial_path(place)
        try:
            yield partial
            partial.replace(place)
            if (place.parent / RECORD).is_file():
                _write_record(place.parent, {*_recorded(place.parent), place.name})
        finally:
            partial.unlink(missing_ok=True)


def check_free(path: Path, overwrite: bool | None = None, sources: Sequence[Path] = ()) -> None:
    """Reject a place that is taken or cannot be written, before any work.

    Args:
        path: to make.
        overwrite: replace a file that is there; None where that is not on offer.
        sources: what the run reads, which must stay.

    Raises:
        OutputError: something is there and must not be replaced, or nothing can be made there.
    """
    if path.is_symlink() and not path.exists():
        raise OutputError(f'{path}: is a link to {os.readlink(path)}, which does not exist')
    for source in sources:
        if source.exists() and path.resolve() == source.resolve():
            raise OutputError(f'{path}: is what is read; name another place')
    if path.exists() and not overwrite:
        hint = '' if overwrite is None else ' or give --overwrite'
        raise OutputError(f'{path}: exists already; name another place{hint}')
    if path.is_dir():
        raise OutputError(f'{path}: is a folder; name a file')
    if path.exists() and not path.is_file():
        raise OutputError(f'{path}: is a device or a pipe, which must stay; name a file')
    parent = next(p for p in path.absolute().parents if p.exists())
    if not parent.is_dir():
        raise OutputError(f'{path}: cannot be made: {parent} is not a folder')
    if not os.access(parent, os.W_OK):
        raise OutputError(f'{path}: cannot be made: {parent} is not writable')


def check_folder(
    path: Path, overwrite: bool = False, sources: Sequence[Path] = (), names: Sequence[str] = ()
) -> None:
    """Reject a folder that cannot be made or filled, before any work; see new_folder.

    Raises:
        OutputError: it exists and must not be overwritten, or would lose what no run wrote.
    """
    if not path.is_dir() or not overwrite:
        if path.exists() and overwrite:
            raise OutputError(f'{path}: is a file, not a folder of results')
        check_free(path, None if path.exists() and not path.is_dir() else overwrite, sources)
        return
    recorded = _recorded(path)
    if not (path / RECORD).is_file() and any(path.iterdir()):
        raise OutputError(
            f'{path}: --overwrite replaces only what a run wrote, and nothing says that one wrote '
            f'this; name another place, or remove it yourself'
        )
    for source in sources:
        if any(_inside(path / name, source) for name in recorded):
            raise OutputError(f'{path}: holds {source}, which is read; name another place')
    ours = {name.split('/')[0] for name in recorded}
    foreign = [n for n in names if n not in ours and _holds_something(path / n)]
    if foreign:
        raise OutputError(
            f'{path}: {", ".join(foreign)} would be replaced, and no run wrote it; name another '
            f'place'
        )
    if not os.access(path, os.W_OK):
        raise OutputError(f'{path}: is not writable')


def _holds_something(path: Path) -> bool:
    """Whether something would be lost; a run without keyframes leaves an empty folder."""
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return os.path.lexists(path)


def _inside(file: Path, source: Path) -> bool:
    """Whether a file is a source or lies in it."""
    return file.resolve().is_relative_to(source.resolve())


def _recorded(folder: Path) -> list[str]:
    """Return the files that a former run wrote and that are still inside the folder."""
    try:
        lines = (folder / RECORD).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [n for n in lines if n and not Path(n).is_absolute() and '..' not in Path(n).parts]


def _write_record(folder: Path, names: set[str]) -> None:
    text = ''.join(f'{name}\n' for name in sorted(names))
    (folder / RECORD).write_text(text, encoding='utf-8')


def _partial_path(path: Path) -> Path:
    return path.with_name(f'.partial-{os.getpid()}-{path.name}')


def _replace(partial: Path, path: Path) -> None:
    """Move a complete folder to its place; what a former run wrote there makes room."""
    new = [p.relative_to(partial) for p in sorted(partial.rglob('*')) if not p.is_dir()]
    _write_record(partial, {name.as_posix() for name in new})
    if not path.exists():
        partial.rename(path)
        return
    old = path.with_name(f'.old-{os.getpid()}-{path.name}')
    old.mkdir()
    for former in map(Path, _recorded(path)):
        if os.path.lexists(path / former):
            _move(path / former, old / former)
            for folder in list(former.parents)[:-1]:
                with suppress(OSError):  # something else is in it
                    (path / folder).rmdir()
    for name in (*new, Path(RECORD)):
        with suppress(OSError):  # only an empty folder would be in the way
            (path / name).rmdir()
        _move(partial / name, path / name)
    for folder in sorted(partial.rglob('*')):  # empty folders are results too
        (path / folder.relative_to(partial)).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(old, ignore_errors=True)


def _move(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    file.replace(to)


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    """Turn a full disk and its like into one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f'{path}: cannot be written: {reason}') from error
