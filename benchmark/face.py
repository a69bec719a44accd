"""How well the face tracker finds and holds the face, and what it costs.

    python benchmark/face.py ../shared/data/clips/train [../shared/data/clips/dev …] [--clip STEM]

Per clip: share of labelled frames with a region (from 0.3 s on), intersection over union with the
canonical region of the labels (mean, 5th percentile), changes of the region per second, tracks
(1: never another face), processor time of update() per frame (mean, 99th percentile; one thread,
decoding excluded), and the mean error of centre (in sizes) and size (log).
Frames without a valid label are left out of share and overlap.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kf_imitation.camera.sources import open_source
from kf_imitation.data_types import FaceRegion
from kf_imitation.face.canonical_region import canonical_region, overlap
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.parameters.settings import FaceSettings, SourceSettings

SETTLED_S = 0.3


def measure(video: Path, settings: FaceSettings) -> dict[str, float]:
    """Run the tracker over a labelled clip."""
    labels = np.load(video.with_suffix('.npz'))
    valid = labels['valid']
    if 'landmarks_q' in labels:
        points = labels['landmarks_q'][..., :2] / 16.0
    else:  # a rendered clip
        points = labels['landmarks98']
    source = open_source(str(video), SourceSettings())
    tracker = FaceTracker(settings)
    overlaps: list[float] = []
    errors: list[tuple[float, float, float]] = []
    times: list[float] = []
    found = wanted = changes = switches = 0
    last: FaceRegion | None = None
    end_s = 0.0
    while (frame := source.read()) is not None:
        start = time.thread_time()
        region = tracker.update(frame)
        times.append(time.thread_time() - start)
        if region is not None and last is not None and region != last:
            changes += 1
            switches += region.track_id != last.track_id
        last = region or last
        end_s = frame.stamp_ns * 1e-9
        if frame.index >= len(valid) or not valid[frame.index] or end_s < SETTLED_S:
            continue
        wanted += 1
        if region is None:
            continue
        truth = canonical_region(points[frame.index])
        hit = overlap(region, truth)
        overlaps.append(hit)
        found += hit > 0.3
        errors.append(
            (
                (region.x + region.size / 2 - truth.x - truth.size / 2) / truth.size,
                (region.y + region.size / 2 - truth.y - truth.size / 2) / truth.size,
                float(np.log(region.size / truth.size)),
            )
        )
    source.close()
    bias = np.mean(errors, axis=0) if errors else np.full(3, np.nan)
    return {
        'found': found / max(wanted, 1),
        'iou': float(np.mean(overlaps)) if overlaps else 0.0,
        'iou_p5': float(np.percentile(overlaps, 5)) if overlaps else 0.0,
        'changes/s': changes / max(end_s, 1e-9),
        'tracks': 1.0 + switches,
        'ms': float(np.mean(times)) * 1e3,
        'ms_p99': float(np.percentile(times, 99)) * 1e3,
        'dx': float(bias[0]),
        'dy': float(bias[1]),
        'dsize': float(bias[2]),
    }


def main() -> None:
    """Print a table per folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folders', nargs='+', type=Path)
    parser.add_argument('--clip', default='', help='only clips whose name contains this')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    for folder in arguments.folders:
        rows: list[Any] = []
        for video in sorted(folder.glob('*.mp4')):
            if arguments.clip not in video.stem:
                continue
            row = measure(video, FaceSettings())
            if not rows:
                print(f'{folder.name:44s}' + ''.join(f'{name:>10s}' for name in row))
            rows.append(row)
            print(
                f'{video.stem[:43]:44s}' + ''.join(f'{v:10.3f}' for v in row.values()), flush=True
            )
        if rows:
            table = np.array([list(row.values()) for row in rows])
            print(f'{"mean":44s}' + ''.join(f'{v:10.3f}' for v in table.mean(axis=0)))
            worst = [r['found'] for r in rows]
            good = sum(w >= 0.99 for w in worst)
            print(f'found in 99 % of the frames of {good} of {len(rows)} clips\n')


if __name__ == '__main__':
    main()
