"""What is a bag, by its name and files; needs no bag library."""

from pathlib import Path

STORAGE_SUFFIXES = ('.mcap', '.db3')
BAG_SUFFIXES = frozenset({*STORAGE_SUFFIXES, '.bag'})
_PACKED_ENDS = tuple(f'{suffix}.zstd' for suffix in STORAGE_SUFFIXES)
_OTHER_ENDS = ('.bag.active', *_PACKED_ENDS)


def is_bag(path: Path) -> bool:
    """Whether a path is a bag file or a bag folder, closed or not."""
    if path.is_dir():
        files = storage_files(path) or packed_files(path)
        return (path / 'metadata.yaml').is_file() or bool(files)
    return path.suffix.lower() in BAG_SUFFIXES or path.name.endswith(_OTHER_ENDS)


def storage_files(path: Path) -> list[Path]:
    """Return the files of a bag folder that hold messages, in order."""
    return sorted(p for p in path.iterdir() if p.suffix in STORAGE_SUFFIXES and p.is_file())


def packed_files(path: Path) -> list[Path]:
    """Return the files of a bag folder that are compressed as a whole, in order."""
    return sorted(p for p in path.iterdir() if p.name.endswith(_PACKED_ENDS) and p.is_file())
