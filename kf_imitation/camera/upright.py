"""Sources whose camera hangs on its side or upside down, or shows a mirror image."""

from dataclasses import replace

import cv2
import numpy as np

from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.data_types import CameraModel, Frame, Image
from kf_imitation.errors import SourceError
from kf_imitation.face_geometry.quarter_turns import QUARTER_TURNS, quarter_turned
from kf_imitation.parameters.settings import UprightSettings


def check_turn(settings: UprightSettings) -> None:
    """Raise SourceError where a turn is not a quarter of a circle."""
    if settings.rotate not in (0, *QUARTER_TURNS):
        raise SourceError(f'rotate = {settings.rotate}: must be 0, 90, 180 or 270')


def turned(bgr: Image, settings: UprightSettings) -> Image:
    """Return an image turned clockwise, then mirrored; the same one where nothing is asked."""
    if settings.rotate:
        bgr = quarter_turned(bgr, settings.rotate)
    return np.asarray(cv2.flip(bgr, 1), np.uint8) if settings.mirror else bgr


def turned_frame(frame: Frame, settings: UprightSettings) -> Frame:
    """Return a frame with its image turned and mirrored, which says so."""
    return replace(
        frame,
        bgr=turned(frame.bgr, settings),
        turn_deg=settings.rotate,
        mirrored=settings.mirror,
    )


def turned_model(camera: CameraModel, settings: UprightSettings) -> CameraModel:
    """Return the camera that would have taken the turned images."""
    if settings.rotate not in (90, 270):
        return camera
    return CameraModel(camera.height, camera.width, camera.focal_px)


class Upright:
    """Another source, its frames turned and mirrored."""

    def __init__(self, source: FrameSource, settings: UprightSettings) -> None:
        """Take a source that is not open yet.

        Raises:
            SourceError: the turn is not a quarter of a circle.
        """
        check_turn(settings)
        self._source = source
        self._settings = settings
        self.name = source.name
        self.is_live = source.is_live
        self._adopt()

    @property
    def state(self) -> str:
        """What a live source says of itself; '' for files."""
        return str(getattr(self._source, 'state', ''))

    def open(self) -> None:
        """See FrameSource."""
        self._source.open()
        self._adopt()

    def read(self) -> Frame | None:
        """See FrameSource."""
        frame = self._source.read()
        self._adopt()
        return frame and turned_frame(frame, self._settings)

    def close(self) -> None:
        """See FrameSource."""
        self._source.close()

    def _adopt(self) -> None:
        """Take over what a source may learn while it runs."""
        self.fps = self._source.fps
        self.frame_count = self._source.frame_count
        self.left_out = self._source.left_out
        self.camera = turned_model(self._source.camera, self._settings)
