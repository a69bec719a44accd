"""Commands of this package as benchmarks run them, on which clip, on which machine."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import cv2
import onnxruntime

from benchmark.keyframe import read_frames
from kf_imitation.paths import share_path

FRAMES = 78
COMMAND = (sys.executable, '-m', 'kf_imitation.cli.main')


def timed(*words: str) -> tuple[float, float, str]:
    """Run a command; returns wall time [s], processor time [s] and what it printed."""
    before, started = os.times(), perf_counter()
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
    wall_s, after = perf_counter() - started, os.times()
    used_s = after.children_user + after.children_system
    return wall_s, used_s - before.children_user - before.children_system, done.stdout


def short_clip(folder: Path, fps: float = 30.0, width: int = 0) -> Path:
    """Write the beginning of the demo clip.

    Args:
        folder: to write it into.
        fps: of the copy.
        width: of the copy [px]; 0 keeps it.
    """
    path = folder / f'short_{fps:g}_{width}.mp4'
    frames = [frame.bgr for frame in read_frames(str(share_path('media/demo.mp4')), FRAMES)]
    height = round(width * frames[0].shape[0] / frames[0].shape[1])
    size = (width, height) if width else frames[0].shape[1::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, size)
    for bgr in frames:
        writer.write(cv2.resize(bgr, size) if width else bgr)
    writer.release()
    return path


def machine() -> dict[str, str]:
    """Return what the figures belong to."""
    model = re.search(r'model name\s*: (.*)', Path('/proc/cpuinfo').read_text(encoding='utf-8'))
    return {
        'name': platform.node(),
        'processor': model[1] if model else platform.processor(),
        'cores': str(len(os.sched_getaffinity(0))),
        'python': platform.python_version(),
        'onnxruntime': onnxruntime.__version__,
        'load': f'{os.getloadavg()[0]:.1f}',
    }
