"""What a Linux host needs for a 100 Hz bus: a short USB latency timer and real-time scheduling."""

import contextlib
import os
import threading
from pathlib import Path

# Latency timer: an FTDI chip keeps received bytes for this long before it hands them over. Its
# default of 16 ms allows some 60 exchanges per second. Linux shows it in /sys.
GOOD_MS = 1
PRIORITY = 10  # SCHED_FIFO; lowest useful, kernel threads of drivers are above it


def device_path(port: str, root: Path = Path('/')) -> Path:
    """Return where a device is below `root`; a relative path begins in the working folder."""
    return root / os.path.abspath(port).lstrip('/')


def latency_file(port: str, root: Path = Path('/')) -> Path:
    """Return where the kernel keeps the timer of a device (links are followed)."""
    device = device_path(port, root).resolve().name
    return root / 'sys/bus/usb-serial/devices' / device / 'latency_timer'


def latency_ms(port: str, root: Path = Path('/')) -> int | None:
    """Return the timer, None for devices without one."""
    try:
        return int(latency_file(port, root).read_text())
    except (OSError, ValueError):
        return None


def latency_remedy(port: str, root: Path = Path('/')) -> str:
    """Say how to set the timer for good."""
    file = latency_file(port, root)
    return (
        f'echo {GOOD_MS} | sudo tee {file}, or for good a udev rule: ACTION=="add", '
        f'SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{{latency_timer}}="{GOOD_MS}"'
    )


def prefer_realtime() -> bool:
    """Schedule the calling thread SCHED_FIFO if this user may; it must sleep, never spin.

    Threads and processes that it starts are scheduled as usual.

    On a robot: `@realtime - rtprio 20` in /etc/security/limits.d, and the user in that group.

    Returns:
        Whether it worked.
    """
    if not hasattr(os, 'sched_setscheduler'):
        return False
    with contextlib.suppress(OSError):
        parameter = os.sched_param(PRIORITY)
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(threading.get_native_id(), policy, parameter)
        return True
    return False
