"""run.json and keyframes/: what the tables of a replay do not say, for the report and scripts."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kf_imitation.data_types import FloatArray
from kf_imitation.keyframe.change_names import CHANGE_NAMES
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.keyframe.score_scale import BLENDSHAPES, ROTATION_WEIGHT
from kf_imitation.offline.output import OutputError
from kf_imitation.offline.run_record import PosedKeyframe, RunRecord
from kf_imitation.stats import Times

_NAMED = 5


def write_facts(
    path: Path,
    run: RunRecord,
    robot: str,
    settings: DetectorSettings,
    times: Mapping[str, Times],
) -> None:
    """Write run.json.

    Args:
        path: to write.
        run: the results.
        robot: name of the robot.
        settings: of the detector.
        times: of the stages; the only part that differs from run to run.
    """
    changes = {score.index: score.change for score in run.scores}
    document = {
        'source': run.source_name,
        'fps': run.fps,
        'robot': robot,
        'detector': asdict(settings),
        'keyframes': [
            {
                'frame': posed.keyframe.index,
                'stamp_s': posed.keyframe.stamp_ns * 1e-9,
                'prominence': round(posed.keyframe.prominence, 6),
                'changes': strongest(changes.get(posed.keyframe.index)),
                'shares': shares(changes.get(posed.keyframe.index)),
            }
            for posed in run.posed
        ],
        'times_ms': {
            name: {'p50': time.p50_ms, 'p95': time.p95_ms, 'p99': time.p99_ms, 'n': time.count}
            for name, time in times.items()
        },
    }
    path.write_text(json.dumps(document, indent=1) + '\n', encoding='utf-8')


def write_crops(folder: Path, run: RunRecord) -> None:
    """Write keyframes/<frame>.jpg: the face of each keyframe as the landmark stage saw it.

    Raises:
        OutputError: a picture cannot be written.
    """
    folder.mkdir()
    for posed in run.posed:
        path = folder / crop_name(posed)
        if not cv2.imwrite(str(path), posed.face.bgr, [cv2.IMWRITE_JPEG_QUALITY, 90]):
            raise OutputError(f'{path}: cannot be written')


def crop_name(posed: PosedKeyframe) -> str:
    """Return the file name of a keyframe's picture."""
    return f'{posed.keyframe.index:06d}.jpg'


def shares(change: FloatArray | None) -> dict[str, int]:
    """Return how much of a score comes from expression and how much from head motion [%]."""
    if change is None or len(change) != len(CHANGE_NAMES):
        return {}
    parts = {
        'expression': float(np.linalg.norm(change[:BLENDSHAPES])),
        'head': ROTATION_WEIGHT * float(np.linalg.norm(change[BLENDSHAPES:])),
    }
    total = sum(parts.values()) or 1.0
    return {name: round(100 * part / total) for name, part in parts.items()}


def strongest(change: FloatArray | None) -> dict[str, Any]:
    """Return the largest entries of a change vector by name, strongest first."""
    if change is None or len(change) != len(CHANGE_NAMES):
        return {}
    order = sorted(range(len(change)), key=lambda i: -abs(float(change[i])))[:_NAMED]
    return {CHANGE_NAMES[i]: round(float(change[i]), 5) for i in order}
