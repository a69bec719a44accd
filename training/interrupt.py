"""Ctrl-C ends a training after the step at hand, so that nothing of it is lost."""

import signal
from types import FrameType


class Interrupt:
    """Notes Ctrl-C from its making on; a second one ends the program at once.

    Attributes:
        pressed: the training shall end and save.
    """

    def __init__(self) -> None:
        self.pressed = False
        signal.signal(signal.SIGINT, self._press)

    def _press(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interrupt(worker: int) -> None:
    """Let a worker of a DataLoader live until the training has ended its step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
