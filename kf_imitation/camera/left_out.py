"""Frames that cannot be used: left out, counted, and said, while the others are used."""

import logging
from collections.abc import Callable

# So many frames in a row are said louder, and again at every tenfold.
LOUD_RUN = 10
_SAID_EACH = 3


class LeftOut:
    """What a source or node had to leave out.

    The first few are said with place and reason, then long runs, then the sum.

    Attributes:
        count: of frames.
        first: the first of them: place and reason.
        run: how many in a row, to the newest frame; 0 after a good one.
        reason: of the newest one.
        damage: what is wrong with the source as a whole, or ''.
    """

    def __init__(self, name: str, say: Callable[[str], object] | None = None) -> None:
        """Start with nothing left out.

        Args:
            name: whose frames they are, for messages.
            say: takes each sentence; None logs it as a warning.
        """
        self.count = 0
        self.first = ''
        self.run = 0
        self.reason = ''
        self.damage = ''
        self._name = name
        self._say = say or logging.getLogger('kf_imitation').warning
        self._loud = LOUD_RUN
        self._times = 0

    def add(self, place: str, reason: str, frames: int = 1) -> None:
        """Leave frames out.

        Args:
            place: which, for example `frame 12`.
            reason: what is wrong with them.
            frames: how many in a row.
        """
        self.count += frames
        self.run += frames
        self.reason = reason
        if not self.first:
            self.first = f'{place}: {reason}'
        self._times += 1
        if self.run >= self._loud:
            words = f'{self.run} frames in a row are left out, now {place}: {reason}'
            self._say(f'{self._name}: {words}')
            while self.run >= self._loud:
                self._loud *= 10
        elif self._times <= _SAID_EACH:
            self._say(f'{self._name}: left out {place}: {reason}')

    def good(self) -> None:
        """Take note of a good frame: a run has ended."""
        if self._loud > LOUD_RUN:
            self._say(f'{self._name}: frames can be used again after {self.run} left out')
        self.run = 0
        self._loud = LOUD_RUN

    def damaged(self, damage: str, then: str) -> None:
        """Take note that a part of the source is missing, nobody knows how many frames."""
        self.damage = damage
        self._say(f'{self._name}: {damage}; {then}')

    def summary(self, used: int) -> str:
        """Return one sentence about a run of a source, or '' when nothing was left out.

        Args:
            used: frames that were good.
        """
        said = [self.damage] if self.damage else []
        if self.count:
            said.append(f'{self.count} of {used + self.count} frames are left out')
            said.append(f'first {self.first}')
        return '; '.join(said)
