"""Fit the constants of kf_imitation/face/detector.py and canonical_region.py on the train clips.

    python -m training.face.fit_region ../shared/data/clips/train

Prints, for each cascade, the median way from its box to the canonical region (of its edge), with
the spread; and the forehead that makes the canonical region of 98 points agree best with that of
the 478 points of the labels.
"""

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np

from kf_imitation.face import canonical_region
from kf_imitation.face.detector import FRONTAL, PROFILE, load_cascade
from kf_imitation.face.region_network import Window
from kf_imitation.face_geometry.point_sets import LAYOUTS

FRAMES_PER_CLIP = 40


def cascade_rows(patch: np.ndarray, size: float, cascade: cv2.CascadeClassifier) -> np.ndarray:
    """(n, 3) centre x, y and log size of the canonical region against the box nearest to it."""
    box = size / 1.28
    boxes = cascade.detectMultiScale(
        patch,
        1.08,
        2,
        minSize=(int(0.72 * box), int(0.72 * box)),
        maxSize=(int(1.4 * box), int(1.4 * box)),
    )
    middle = patch.shape[0] / 2
    rows = [
        ((middle - x - w / 2) / w, (middle - y - w / 2) / w, np.log(size / w))
        for x, y, w, _ in boxes
    ]
    rows = [row for row in rows if abs(row[0]) < 0.4 and abs(row[1]) < 0.4]
    rows.sort(key=lambda row: abs(row[0]) + abs(row[1]))
    return np.array(rows[:1]).reshape(-1, 3)


def main() -> None:
    """Print the constants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clips', type=Path)
    clips = parser.parse_args().clips
    cascades = {name: load_cascade(name) for name in (FRONTAL, PROFILE)}
    rows: dict[str, list[np.ndarray]] = {name: [] for name in cascades}
    meshes = []
    count = 0
    for video in sorted(clips.glob('*.mp4')):
        labels = np.load(video.with_suffix('.npz'))
        points, valid = labels['landmarks_q'][..., :2] / 16.0, labels['valid']
        step = max(1, len(points) // FRAMES_PER_CLIP)
        capture = cv2.VideoCapture(str(video))
        for i in range(len(points)):
            if not capture.grab():
                break
            if i % step or not valid[i]:
                continue
            count += 1
            meshes.append(points[i])
            region = canonical_region.canonical_region(points[i])
            window = Window.around(region)
            patch = window.cut(capture.retrieve()[1])
            for name, cascade in cascades.items():
                found = cascade_rows(patch, window.to_patch(region).size, cascade)
                if not len(found) and name == PROFILE:  # the other side of the face
                    found = cascade_rows(
                        np.ascontiguousarray(patch[:, ::-1]), window.to_patch(region).size, cascade
                    )
                rows[name].append(found)
    for name, parts in rows.items():
        found = np.concatenate(parts)
        x, y, log_size = np.median(found, axis=0)
        print(f'{name}: {len(found)} of {count} faces; x {x:+.3f} y {y:+.3f}', end=' ')
        print(f'scale {np.exp(log_size):.3f}; spread {found.std(axis=0).round(3)}')

    matrix = LAYOUTS['mediapipe478'].matrix
    wflw = [matrix @ mesh for mesh in meshes]
    best = (np.inf, 0.0, 0.0)
    for rise, half_width in itertools.product(np.arange(0.2, 0.8, 0.05), (0.0, 0.1, 0.2, 0.3)):
        canonical_region.FOREHEAD_RISE, canonical_region.FOREHEAD_HALF_WIDTH = rise, half_width
        hits = [
            canonical_region.overlap(
                canonical_region.canonical_region(a), canonical_region.canonical_region(b)
            )
            for a, b in zip(wflw, meshes, strict=True)
        ]
        best = min(best, (-float(np.mean(hits)), float(rise), float(half_width)))
    print(f'forehead: rise {best[1]:.2f} half width {best[2]:.2f}, overlap {-best[0]:.3f}')


if __name__ == '__main__':
    main()
