"""Fitted numbers as files of the package: models/NAME.yaml and its entry in the manifest."""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml

MODELS = Path('models')


def table_text(about: str, document: dict[str, Any]) -> str:
    """Return the text of a table.

    Args:
        about: what the numbers are, for the comment at its beginning.
        document: plain numbers, lists and mappings.
    """
    comment = ''.join(f'# {line}\n' for line in about.strip().splitlines())
    return comment + yaml.safe_dump(document, sort_keys=False, width=99, default_flow_style=None)


def rounded(values: Any, digits: int = 4) -> Any:
    """Return numbers or an array as plain, rounded floats in lists."""
    return np.round(np.asarray(values, np.float64), digits).tolist()


def write_table(name: str, text: str, models: Path = MODELS) -> None:
    """Write a table that the manifest names already, and its new sha256.

    Raises:
        KeyError: the manifest has no such table.
    """
    manifest = models / 'manifest.yaml'
    document = yaml.safe_load(manifest.read_text(encoding='utf-8'))
    entry = document['tables'][name]
    (models / entry['file']).write_text(text, encoding='utf-8')
    entry['sha256'] = hashlib.sha256(text.encode()).hexdigest()
    manifest.write_text(
        yaml.safe_dump(document, sort_keys=False, width=99, allow_unicode=True), encoding='utf-8'
    )


def add_write_option(parser: argparse.ArgumentParser) -> None:
    """Let the user say that settle() writes."""
    parser.add_argument('--write', action='store_true', help='write the table into the package')


def settle(name: str, text: str, write: bool) -> None:
    """Write a table, or only print it."""
    if write:
        write_table(name, text)
    else:
        print(text)
