"""`kf_imitation calibrate`: what is neutral and what is the extreme of one person, as a file."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.camera.sources import open_source
from kf_imitation.data_types import CHANNELS, CameraModel, Frame
from kf_imitation.errors import ConfigError
from kf_imitation.expression.calibration import Calibration
from kf_imitation.expression.channels import raw_channels
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.face_geometry.head_pose import solve_head_pose
from kf_imitation.pipeline.face_pipeline import build_landmark_model, face_settings
from kf_imitation.replay.run import source_settings
from kf_imitation.ros_graph.nodes import merged_parameters

Levels = NDArray[np.float64]
REST = 'Look into the camera with a relaxed face and eyes open.'
POSE = (
    'Now show everything, twice: mouth wide open, smile, frown, lips pressed, kiss, eyes shut, '
    'eyes wide open, brows up, brows down.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument('--source', default='0', help='camera or video (default: camera 0)')
    parser.add_argument('--out', required=True, type=Path, metavar='FILE', help='YAML to write')
    parser.add_argument('--person', default='', metavar='NAME', help='default: from --out')
    parser.add_argument(
        '--rest-s', type=float, default=3.0, help='relaxed face at the beginning (default: 3 s)'
    )
    parser.add_argument(
        '--pose-s', type=float, default=20.0, help='expressions after that (default: 20 s)'
    )
    parser.add_argument(
        '--params', default='', metavar='FILE', help='parameters above config/kf_imitation.yaml'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the file')


def run(args: argparse.Namespace) -> int:
    """Watch a person, write the file.

    Returns:
        Exit code 0.

    Raises:
        KfImitationError: bad input, or the person did not show enough; nothing is written.
    """
    if args.out.exists() and not args.overwrite:
        raise ConfigError(str(args.out), ['exists already: name another file, or --overwrite'])
    values = merged_parameters(args.params)
    reader = FaceReader(values)
    source = open_source(args.source, source_settings(values['camera']))
    try:
        rest, posed = watch(source, reader.read, args.rest_s, args.pose_s)
    finally:
        source.close()
    calibration = Calibration.of_session(args.person or args.out.stem, rest, posed)
    calibration.save(args.out)
    print(f'written to {args.out}: {len(rest)} relaxed faces, {len(posed)} expressions')
    print(f'use it: landmarks: {{ros__parameters: {{calibration: {args.out.absolute()}}}}}')
    return 0


class FaceReader:
    """Raw channels of every frame with a face."""

    def __init__(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Load the landmark model.

        Args:
            values: parameters by node.

        Raises:
            ModelError: it is missing or altered.
        """
        self._model = build_landmark_model(values['landmarks'])
        self._tracker = FaceTracker(face_settings(values['keyframe']))

    def read(self, frame: Frame, camera: CameraModel) -> Levels | None:
        """Return (19,) raw channels; None without a face."""
        region = self._tracker.update(frame)
        if region is None:
            return None
        landmarks = self._model.predict(frame.bgr, region, frame.stamp_ns)
        return raw_channels(landmarks, solve_head_pose(landmarks, camera))


def watch(
    source: FrameSource,
    read: Callable[[Frame, CameraModel], Levels | None],
    rest_s: float,
    pose_s: float,
) -> tuple[Levels, Levels]:
    """Collect faces at rest, then expressions; instructions go to stderr.

    Args:
        source: open.
        read: raw channels of a frame.
        rest_s: time at rest, from the first face on.
        pose_s: time for expressions after that; a file may end earlier.

    Returns:
        (n, 19) at rest and (m, 19) posed raw channels.
    """
    rest: list[Levels] = []
    posed: list[Levels] = []
    first_ns: int | None = None
    print(REST, file=sys.stderr)
    while (frame := source.read()) is not None:
        raw = read(frame, source.camera)
        if raw is None or not np.isfinite(raw).all():
            continue
        if first_ns is None:
            first_ns = frame.stamp_ns
        elapsed_s = (frame.stamp_ns - first_ns) * 1e-9
        if elapsed_s > rest_s + pose_s:
            break
        if elapsed_s >= rest_s and not posed:
            print(POSE, file=sys.stderr)
        (rest if elapsed_s < rest_s else posed).append(raw)
    empty = np.empty((0, len(CHANNELS)))
    return np.array(rest) if rest else empty, np.array(posed) if posed else empty
