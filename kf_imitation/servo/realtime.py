"""Ask for real-time scheduling of the bus thread, so that a busy machine does not delay it."""

import contextlib
import os
import threading

PRIORITY = 10  # lowest useful; kernel threads of drivers are above it


def prefer_realtime() -> bool:
    """Schedule the calling thread SCHED_FIFO if this user may; it must sleep, never spin.

    On a robot: `@realtime - rtprio 20` in /etc/security/limits.d, and the user in that group.

    Returns:
        Whether it worked.
    """
    if not hasattr(os, 'sched_setscheduler'):
        return False
    with contextlib.suppress(OSError):
        parameter = os.sched_param(PRIORITY)
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_FIFO, parameter)
        return True
    return False
