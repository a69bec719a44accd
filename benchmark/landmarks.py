"""Time of the landmark stage on one core: a look of PFLD, eyes, parts, the whole of a keyframe.

    .venv/bin/python -m benchmark.landmarks [--repeat 200]

Prints the least and the median wall time. On a busy machine the least is what the code needs.
"""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np

from kf_imitation.data_types import FaceRegion
from kf_imitation.face_geometry.head_pose import template
from kf_imitation.inference import OnnxModel
from kf_imitation.landmarks.landmark_model import LandmarkModel
from kf_imitation.landmarks.patches import PATCH_PX, EyeModel, PartModel


def times_ms(what: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Least and median of many calls."""
    spent = []
    for _ in range(repeat):
        begun = time.perf_counter()
        what()
        spent.append(1000 * (time.perf_counter() - begun))
    return min(spent), float(np.median(spent))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeat', type=int, default=200)
    repeat = parser.parse_args().repeat
    cv2.setNumThreads(1)
    pfld, closer = OnnxModel.load('landmarks_pfld', 1), OnnxModel.load('landmarks_eyes', 1)
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (1, 112, 112, 3), dtype=np.uint8)
    patches = rng.integers(0, 256, (2, PATCH_PX[1], PATCH_PX[0], 3), dtype=np.uint8)
    face = cv2.GaussianBlur(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8), (0, 0), 3)
    region = FaceRegion(0.0, 0.0, 256.0)
    parts = PartModel(OnnxModel.load('landmarks_parts', 1))
    plain, whole = LandmarkModel(pfld), LandmarkModel(pfld, EyeModel(closer), parts)
    points = template() * region.size
    for name, what in (
        ('PFLD, one look', lambda: pfld.run({'crop': crop})),
        ('eye model, both eyes', lambda: closer.run({'patches': patches})),
        ('part model, eyes and mouth', lambda: parts.predict(face, region, points)),
        ('landmarks of a keyframe, PFLD alone', lambda: plain.predict(face, region, 0)),
        ('landmarks of a keyframe', lambda: whole.predict(face, region, 0)),
    ):
        least, middle = times_ms(what, repeat)
        print(f'{name:44s} {least:6.2f} ms least, {middle:6.2f} ms median')


if __name__ == '__main__':
    main()
