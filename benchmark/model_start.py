"""Processor time to load every model: optimised now, and as saved by an earlier start.

python -m benchmark.model_start
"""

import os
import tempfile
from time import process_time

from kf_imitation.inference import OnnxModel

MODELS = (
    'keyframe_default', 'keyframe_lite', 'landmarks_pfld', 'landmarks_eyes', 'landmarks_parts',
    'face_region',
)  # fmt: skip


def load_s(name: str) -> float:
    """Return the processor time that loading a model takes [s]."""
    before = process_time()
    OnnxModel.load(name, threads=1)
    return process_time() - before


def main() -> None:
    """Run as a program."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ['XDG_CACHE_HOME'] = folder
        for name in MODELS:
            print(f'{name:20} first {load_s(name):.3f} s, saved {load_s(name):.3f} s')


if __name__ == '__main__':
    main()
