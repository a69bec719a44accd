"""One rule for the stamps of images from others, live and in recordings.

Images are taken in the order of their arrival. Their stamps are trusted while they make sense:

- a stamp of zero means the time of arrival, with one warning;
- an image that is not newer than the one before it is late and left out, unless that goes on;
- a stamp that jumps by more than GAP_S, or back by more than LATE_S, while the arrivals do not,
  is a step of the clock: it is named. Time of a recording goes on by the arrivals; live it starts
  again from the new stamp, since everybody else's clock has stepped too;
- a pause, which stamps and arrivals show alike, is named and kept.
"""

import logging
from collections import deque
from collections.abc import Callable

# A pause that is named; shorter ones are ordinary losses.
GAP_S = 10.0
# An image may be late by so much; a larger step back is the clock's.
LATE_S = 1.0
# Older than this, a stamp is of another clock (a bag played by somebody), not late.
OTHER_CLOCK_S = 10.0
# Late images in a row that are believed; then their clock is.
_LATE_RUN = 10


# Of the ages of the newest images the freshest twentieth does not count: stamps may be odd.
_FEWEST, _MOST = 20, 100
_ODD = 20


class CameraLag:
    """Takes from the stamps of another package's camera what they always lie behind.

    Its clock is behind ours, or its pictures travel for long: even the freshest come late. That
    is no lateness of ours, and the rest of the way must not pay for it; what an image is older
    than the freshest ones is.
    """

    def __init__(self, name: str, bearable_s: float, say: Callable[[str], object]) -> None:
        """Wait for the first image.

        Args:
            name: of the source, for messages.
            bearable_s: a lag that is left in the stamps; 0: any.
            say: takes a sentence when the lag changes by that much.
        """
        self._name, self._say = name, say
        self._bearable_ns = round(bearable_s * 1e9)
        self._ages: deque[int] = deque(maxlen=_MOST)
        self._lag_ns = 0

    def corrected(self, stamp_ns: int, arrival_ns: int) -> int:
        """Return the stamp of the next image without the lag."""
        age_ns = arrival_ns - stamp_ns
        if not self._bearable_ns or not 0 <= age_ns < OTHER_CLOCK_S * 1e9:
            return stamp_ns
        self._ages.append(age_ns)
        if len(self._ages) >= _FEWEST:
            self._follow(sorted(self._ages)[len(self._ages) // _ODD])
        return stamp_ns + self._lag_ns

    def _follow(self, freshest_ns: int) -> None:
        lag_ns = freshest_ns if freshest_ns > self._bearable_ns else 0
        if abs(lag_ns - self._lag_ns) <= self._bearable_ns:
            return
        self._lag_ns = lag_ns
        if lag_ns:
            self._say(
                f'{self._name}: stamps always lie {lag_ns * 1e-9:.2f} s behind the arrival of the '
                f'image; so much is added to them'
            )
        else:
            self._say(f'{self._name}: stamps no longer lie behind; nothing is added to them')


class FrameTimes:
    """Gives every image a time that grows.

    Attributes:
        late_text: what to say of the newest image, when it was late.
        restarted: time started again with the newest image; the one before it says nothing.
    """

    def __init__(
        self, name: str, say: Callable[[str], object] | None = None, live: bool = False
    ) -> None:
        """Wait for the first image.

        Args:
            name: of the source, for messages.
            say: takes each sentence; None logs it as a warning.
            live: follow the clock of the stamps when it steps.
        """
        self.late_text = ''
        self.restarted = False
        self._live = live
        self._name = name
        self._say = say or logging.getLogger('kf_imitation').warning
        self._said_zero = False
        self._last_ns: int | None = None  # time given last
        self._last_stamp_ns = 0  # stamp of the newest image in time
        self._last_arrival_ns = 0
        self._offset_ns = 0  # of times to stamps
        self._late_run = 0
        self._useless_ns = 0  # a stamp that every image has

    def time_of(self, stamp_ns: int, arrival_ns: int) -> int | None:
        """Return the time of the next image.

        Args:
            stamp_ns: as its header says.
            arrival_ns: when it was received or recorded; of another clock, maybe.

        Returns:
            None for one that is late: leave it out.
        """
        self.restarted = False
        if stamp_ns <= 0 or stamp_ns == self._useless_ns:
            if stamp_ns <= 0 and not self._said_zero:
                self._said_zero = True
                self._say(f'{self._name}: stamps are zero; the time of arrival is taken instead')
            return self._give(self._by_arrival(arrival_ns), None, arrival_ns)
        if self._last_ns is None:
            return self._give(stamp_ns, stamp_ns, arrival_ns)
        step_ns = stamp_ns + self._offset_ns - self._last_ns
        arrival_step_ns = arrival_ns - self._last_arrival_ns
        if step_ns <= 0:
            return self._late(stamp_ns, step_ns, arrival_ns)
        if step_ns > GAP_S * 1e9:
            if 2 * arrival_step_ns < step_ns:
                return self._step(stamp_ns, step_ns, arrival_ns)
            self._say(f'{self._name}: a pause of {step_ns * 1e-9:.1f} s')
        return self._give(stamp_ns + self._offset_ns, stamp_ns, arrival_ns)

    def _late(self, stamp_ns: int, step_ns: int, arrival_ns: int) -> int | None:
        self._late_run += 1
        if self._late_run >= _LATE_RUN and stamp_ns == self._last_stamp_ns:
            self._useless_ns = stamp_ns
            words = 'every image has the same stamp; the time of arrival is taken instead'
            self._say(f'{self._name}: {words}')
            return self._give(self._by_arrival(arrival_ns), None, arrival_ns)
        if step_ns < -LATE_S * 1e9 or self._late_run >= _LATE_RUN:
            return self._step(stamp_ns, step_ns, arrival_ns)
        self.late_text = (
            f'is {-step_ns * 1e-6:.0f} ms older than the one before it'
            if step_ns
            else 'has the same stamp as the one before it'
        )
        return None

    def _step(self, stamp_ns: int, step_ns: int, arrival_ns: int) -> int:
        way = 'forward' if step_ns > 0 else 'back'
        then = 'begins again' if self._live else 'goes on by the arrival of the images'
        self._say(
            f'{self._name}: its clock steps {way} by {abs(step_ns) * 1e-9:.1f} s; time {then}'
        )
        self.restarted = self._live
        time_ns = stamp_ns if self._live else self._by_arrival(arrival_ns)
        self._offset_ns = time_ns - stamp_ns
        return self._give(time_ns, stamp_ns, arrival_ns)

    def _by_arrival(self, arrival_ns: int) -> int:
        """Return the time that has gone by since the last image, at least a little."""
        if self._last_ns is None:
            return arrival_ns
        return self._last_ns + max(1_000_000, arrival_ns - self._last_arrival_ns)

    def _give(self, time_ns: int, stamp_ns: int | None, arrival_ns: int) -> int:
        first = self._last_ns is None
        self._last_ns = time_ns
        self._last_arrival_ns = arrival_ns
        self._late_run = 0
        if stamp_ns is not None:
            self._last_stamp_ns = stamp_ns
        elif first:
            self._offset_ns = 0
        return time_ns
