"""A calibration session: the raw channels of one person at rest, then of all expressions."""

from collections.abc import Callable, Mapping
from typing import Any

from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.data_types import CameraModel, Frame
from kf_imitation.errors import SourceError, counted
from kf_imitation.expression.calibration_fit import MINIMUM_FACES
from kf_imitation.expression.calibration_session import CalibrationSession
from kf_imitation.expression.channels import Levels, raw_channels
from kf_imitation.face.tracker import FaceTracker
from kf_imitation.face_geometry.head_pose import solve_head_pose
from kf_imitation.pipeline.face_pipeline import build_landmark_model, face_settings
from kf_imitation.pipeline.learned_person import NOBODY_S


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


def require_moving_pictures(source: FrameSource) -> None:
    """Reject a photograph, or too few of them: they show nothing over time.

    Args:
        source: open.

    Raises:
        SourceError: with the number of pictures.
    """
    if source.frame_count is not None and 0 < source.frame_count < MINIMUM_FACES:
        raise SourceError(
            f'{source.name}: {counted(source.frame_count, "picture")} cannot calibrate; a camera '
            'or a video of a relaxed face, then of expressions, can'
        )


def watch(
    source: FrameSource,
    read: Callable[[Frame, CameraModel], Levels | None],
    rest_s: float,
    pose_s: float,
    tell: Callable[[str, float], None],
) -> tuple[Levels, Levels]:
    """Collect faces at rest, then expressions.

    Args:
        source: open.
        read: raw channels of a frame.
        rest_s: time at rest, from the first face on; a file must be longer.
        pose_s: time for expressions after that; a file may end earlier.
        tell: given what the person is to do and how much of the time is over, 0 to 1.

    Returns:
        (n, 19) at rest and (m, 19) posed raw channels.

    Raises:
        SourceError: no face in a file, or none before a camera for NOBODY_S; or a file is over
            before the time at rest is.
    """
    session = CalibrationSession(rest_s, pose_s)
    began_ns: int | None = None
    while not session.is_over:
        tell(session.instruction, session.progress)
        frame = source.read()
        if frame is None:
            break
        session.push(frame.stamp_ns, read(frame, source.camera))
        began_ns = frame.stamp_ns if began_ns is None else began_ns
        waited_s = (frame.stamp_ns - began_ns) * 1e-9
        if source.is_live and not session.has_begun and waited_s > NOBODY_S:
            raise SourceError(f'{source.name}: nobody was seen for {NOBODY_S:g} s')
    if not session.has_begun:
        raise SourceError(f'{source.name}: no face was seen')
    if session.step == 0:
        lasts_s = session.progress * (rest_s + pose_s)
        raise SourceError(
            f'{source.name}: ends {lasts_s:.1f} s after its first face, within the time at rest, '
            f'--rest-s = {rest_s:g}: it must be less, so that expressions follow'
        )
    return session.faces
