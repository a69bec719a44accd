"""run.json and keyframes/: what the tables of a replay do not say, for the report and scripts."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import cv2

from kf_imitation.data_types import FloatArray
from kf_imitation.keyframe.change_names import CHANGE_NAMES
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.keyframe.explanation import split_change
from kf_imitation.offline.output import OutputError
from kf_imitation.offline.run_record import PosedKeyframe, RunRecord
from kf_imitation.stats import Times


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
                'changes': strongest(posed.change),
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


def strongest(change: FloatArray | None) -> dict[str, float]:
    """Return the largest entries of a change vector by name, strongest first."""
    if change is None or len(change) != len(CHANGE_NAMES):
        return {}
    return {name: round(value, 5) for name, value in split_change(change).strongest}
