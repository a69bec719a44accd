"""Notice a camera that goes on sending and shows nothing: one picture for ever, or one colour."""

from collections.abc import Callable

import numpy as np

from kf_imitation.data_types import Image

AFTER_S = 5.0  # a person who holds still is no still picture: sensors are never without noise
_STEP_PX = 16  # between the pixels that are looked at
# Grey levels: a covered camera is dark with noise, a scene at night has lights or gradients.
_BLACK_MEAN, _BLACK_DEVIATION = 12.0, 3.0


class PictureWatch:
    """Looks at every picture of a live camera and says once when it shows nothing.

    Attributes:
        state: what is wrong with the pictures, as a sentence; '' when nothing is.
    """

    def __init__(self, name: str, say: Callable[[str], object]) -> None:
        """Wait for the first picture.

        Args:
            name: of the camera, for messages.
            say: takes each sentence.
        """
        self.state = ''
        self._name = name
        self._say = say
        self._before = b''
        self._changed_ns: int | None = None
        self._seen_ns: int | None = None  # when something could be seen last

    def look(self, bgr: Image, time_ns: int) -> None:
        """Take the next picture.

        Args:
            bgr: (H, W, 3) uint8.
            time_ns: of it; a step back starts the watch again.
        """
        few = bgr[_STEP_PX // 2 :: _STEP_PX, _STEP_PX // 2 :: _STEP_PX]
        now = few.tobytes()
        new_start = self._changed_ns is None or time_ns < self._changed_ns
        if new_start or now != self._before:
            self._changed_ns = time_ns
        self._before = now
        if self._seen_ns is None or time_ns < self._seen_ns or not _is_black(few):
            self._seen_ns = time_ns
        assert self._changed_ns is not None
        self._tell(
            f'{self._name} is black: is the lens covered, or its light off?'
            if time_ns - self._seen_ns >= AFTER_S * 1e9
            else f'{self._name} sends the same picture again and again: restart the camera'
            if time_ns - self._changed_ns >= AFTER_S * 1e9
            else ''
        )

    def _tell(self, state: str) -> None:
        if state == self.state:
            return
        self.state = state
        self._say(state or f'{self._name} shows something again')


def _is_black(few: Image) -> bool:
    return few.size > 0 and bool(few.mean() < _BLACK_MEAN and np.std(few) < _BLACK_DEVIATION)
