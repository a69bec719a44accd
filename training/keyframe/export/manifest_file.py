"""Entries of models/manifest.yaml."""

from pathlib import Path
from typing import Any

import yaml


def write_manifest(manifest: Path, name: str, entry: dict[str, Any]) -> None:
    """Set one entry of the manifest; the others stay as they are."""
    document = yaml.safe_load(manifest.read_text()) if manifest.exists() else None
    document = document or {'models': {}}
    document['models'][name] = entry
    text = yaml.safe_dump(document, sort_keys=False, width=99, allow_unicode=True)
    manifest.write_text(text, encoding='utf-8')
