"""The one clock of the servo side, and how old a command may be."""

import time
from collections.abc import Callable
from functools import partial

# CLOCK_MONOTONIC stands still while the computer sleeps: a goal would be fresh after hours.
_CLOCK = getattr(time, 'CLOCK_BOOTTIME', time.CLOCK_MONOTONIC)
COMMAND_AGE_S = 0.5  # longer than any load makes a command wait, shorter than a person's next look
FUTURE_S = 60.0  # clocks of two computers may be that far apart, not more


# Since the computer was started, the time that it slept included.
boottime_s: Callable[[], float] = partial(time.clock_gettime, _CLOCK)
boottime_ns: Callable[[], int] = partial(time.clock_gettime_ns, _CLOCK)


def stamp_problem(stamp_ns: int, now_ns: int) -> str:
    """Return why a stamp is rejected that lies far in the future of its clock; '' for none.

    Args:
        stamp_ns: of a command.
        now_ns: on the clock of the stamps; 0 when nobody knows yet.
    """
    ahead_s = (stamp_ns - now_ns) * 1e-9
    if now_ns <= 0 or ahead_s <= FUTURE_S:
        return ''
    return (
        f'stamped {ahead_s:.0f} s in the future, at most {FUTURE_S:g} s: clock of the sender, or '
        'use_sim_time?'
    )


def age_problem(stamp_ns: int, now_ns: int, most_s: float) -> str:
    """Return why a command is void that says by its stamp that it is old; '' for none.

    Args:
        stamp_ns: of a command.
        now_ns: on the same clock; 0 when nobody knows yet.
        most_s: how old it may be.
    """
    age_s = (now_ns - stamp_ns) * 1e-9
    if now_ns <= 0 or age_s <= most_s:
        return ''
    return (
        f'stamped {age_s:.1f} s ago, at most {most_s:g} s (command_age_s): too much to do here, '
        'or a recording without its clock?'
    )
