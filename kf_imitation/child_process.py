"""Programs of this package as child processes."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]


def start_child(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> 'subprocess.Popen[str]':
    """Start a module of this package, which need not be installed, as a program.

    It gets a session of its own: Ctrl-C in a terminal is for the one who starts it.

    Args:
        module: as for `python -m`.
        arguments: of the program.
        environment: variables to add to this process's.
        options: for subprocess.Popen.
    """
    path = os.environ.get('PYTHONPATH', '')
    found = f'{_ROOT}{os.pathsep}{path}' if path else str(_ROOT)
    return subprocess.Popen(
        [sys.executable, '-m', module, *arguments],
        env={**os.environ, 'PYTHONPATH': found, **(environment or {})},
        start_new_session=True,
        text=True,
        **options,
    )


def end_child(process: 'subprocess.Popen[str]', patience_s: float) -> int:
    """Wait for a process that was told to end, then kill it; return its exit code."""
    try:
        return process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
