"""Files in models/: found by name in models/manifest.yaml and checked against its sha256."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kf_imitation.errors import ModelError
from kf_imitation.paths import share_path

_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


def find_model_file(
    section: str, name: str, manifest: Path | None = None
) -> tuple[Mapping[str, Any], Path]:
    """Find a file and check it.

    Args:
        section: of the manifest: `models` (ONNX) or `tables` (fitted numbers, YAML).
        name: key in the section.
        manifest: another manifest than the package's own; files lie next to it.

    Returns:
        Its entry in the manifest, and the file.

    Raises:
        ModelError: unknown name, missing or altered file, or a manifest that cannot be read.
    """
    path = manifest or share_path('models/manifest.yaml')
    entries = _manifest(path).get(section)
    if not isinstance(entries, dict):
        raise ModelError(f'{path} must have a mapping {section}')
    if name not in entries:
        raise ModelError(f'model {name} is not in {path} (there: {", ".join(entries)})')
    entry = entries[name]
    file = path.parent / entry['file']
    if not file.is_file():
        raise ModelError(f'model {name}: {file} is missing')
    digest = _sha256(file, file.stat().st_mtime_ns)
    if digest != entry['sha256']:
        raise ModelError(
            f'model {name}: {file} is altered: sha256 {digest[:12]}…, '
            f'the manifest says {entry["sha256"][:12]}…'
        )
    return entry, file


@cache
def load_table(name: str) -> Mapping[str, Any]:
    """Return a table of fitted numbers; it is read once.

    Raises:
        ModelError: it is missing or altered.
    """
    _, file = find_model_file('tables', name)
    return _read(file)


def _manifest(path: Path) -> Mapping[str, Any]:
    """Return a manifest, parsed once as long as it stays the same."""
    try:
        status = path.stat()
    except OSError:
        return _read(path)  # says why
    return _parsed(path, status.st_mtime_ns, status.st_size)


@cache
def _parsed(path: Path, modified_ns: int, size: int) -> Mapping[str, Any]:
    del modified_ns, size
    return _read(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding='utf-8'), _LOADER)
    except OSError as error:
        raise ModelError(f'{path} cannot be read: {error.strerror}') from error
    except yaml.YAMLError as error:
        raise ModelError(f'{path} is not YAML: {error}') from error
    return document if isinstance(document, dict) else {}


@cache
def _sha256(file: Path, modified_ns: int) -> str:
    """Hash a file; the time of its last change is part of the cache key."""
    del modified_ns
    return hashlib.sha256(file.read_bytes()).hexdigest()
