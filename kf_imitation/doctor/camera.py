"""Checks of the camera: rights, then frames for two seconds."""

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from kf_imitation.camera.sources import is_camera, open_source
from kf_imitation.doctor.finding import ERROR, Finding, attempt

WATCHED_S = 2.0


def check_source(spec: str, root: Path = Path('/')) -> Iterator[Finding]:
    """Read frames for a while."""
    device = root / (spec.lstrip('/') if spec.startswith('/') else f'dev/video{spec}')
    if is_camera(spec) and device.exists() and not os.access(device, os.R_OK | os.W_OK):
        yield Finding(
            ERROR,
            f'source {spec}',
            'no permission: sudo usermod -aG video $USER, then log in again',
        )
        return
    yield from attempt(f'source {spec}', lambda: _watch(spec))


def _watch(spec: str) -> str:
    """Return size and rate."""
    source = open_source(spec)
    count, start_s = 0, monotonic()
    try:
        while monotonic() - start_s < WATCHED_S and source.read() is not None:
            count += 1
    finally:
        source.close()
    camera, elapsed_s = source.camera, monotonic() - start_s
    rate = f'{count / elapsed_s:.1f} frames per second measured, ' if source.is_live else ''
    return f'{camera.width} x {camera.height}, {rate}{source.fps:g} nominal'
