"""Results appear whole or not at all: written next to their place, moved there at the end."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kf_imitation.errors import BagError, KfImitationError


class OutputError(KfImitationError):
    """A result cannot be written, or is in the way of one."""


@contextmanager
def new_folder(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder to fill, which becomes `path` when the body ends without an error.

    After an error or Ctrl-C the temporary folder is gone, and what was at `path` is untouched.

    Args:
        path: folder to make, with its parents.
        overwrite: replace a folder that is there.

    Raises:
        OutputError: it exists and must not be replaced, or cannot be written.
    """
    check_free(path, overwrite)
    with _as_output_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial_path(path)
        partial.mkdir()
        try:
            yield partial
            _replace(partial, path)
        except BagError as error:  # names the place where the bag is now, which is removed
            raise BagError(str(error).replace(str(partial), str(path))) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def new_file(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary file name with the same ending, which becomes `path` in the end.

    Args:
        path: file to make, with its parents.
        overwrite: replace a file that is there.

    Raises:
        OutputError: it exists and must not be replaced, or cannot be written.
    """
    check_free(path, overwrite)
    with _as_output_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial_path(path)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def check_free(path: Path, overwrite: bool | None = None) -> None:
    """Reject a place that is taken or cannot be written, before any work.

    Args:
        path: to make.
        overwrite: replace what is there; None where that is not on offer.

    Raises:
        OutputError: something is there and must not be replaced, or nothing can be made there.
    """
    if path.exists() and not overwrite:
        hint = '' if overwrite is None else ' or give --overwrite'
        raise OutputError(f'{path}: exists already; name another place{hint}')
    parent = next(p for p in path.absolute().parents if p.exists())
    if not parent.is_dir():
        raise OutputError(f'{path}: cannot be made: {parent} is not a folder')
    if not os.access(parent, os.W_OK):
        raise OutputError(f'{path}: cannot be made: {parent} is not writable')


def _partial_path(path: Path) -> Path:
    return path.with_name(f'.partial-{os.getpid()}-{path.name}')


def _replace(partial: Path, path: Path) -> None:
    if not path.exists():
        partial.rename(path)
        return
    old = path.with_name(f'.old-{os.getpid()}-{path.name}')
    path.rename(old)
    partial.rename(path)
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink()


@contextmanager
def _as_output_error(path: Path) -> Iterator[None]:
    """Turn a full disk and its like into one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f'{path}: cannot be written: {reason}') from error
