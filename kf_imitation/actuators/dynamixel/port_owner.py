"""Which programs have a serial device open, by the device and not by its path."""

import contextlib
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

END_S = 5.0  # for leaving by the exit policy, which may walk to neutral first
POLL_S = 0.05
PTMX = os.makedev(5, 2)  # whoever has it open is the simulator behind a pseudo-terminal


def owners(port: str, proc: Path = Path('/proc')) -> dict[int, str]:
    """Return process id and name of every other program that has a device open (Linux).

    Nobody has what is no device: files have the number 0, which is also that of every open file.
    """
    try:
        status = os.stat(port)
    except OSError:
        return {}
    if not stat.S_ISCHR(status.st_mode):
        return {}
    device = status.st_rdev
    found = {}
    for folder in proc.glob('[0-9]*'):
        pid = int(folder.name)
        devices = set(_open_devices(folder))
        if pid != os.getpid() and device in devices and PTMX not in devices:
            found[pid] = _name(folder)
    return found


def listed(programs: dict[int, str]) -> str:
    """Return what owners() found as words; '' for nobody."""
    return ', '.join(f'process {pid} ({name})' for pid, name in programs.items())


def end(
    pid: int,
    timeout_s: float = END_S,
    send: Callable[[int, int], None] = os.kill,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """End a program: asked first, killed if it does not leave in time.

    Raises:
        PermissionError: it belongs to another user.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            send(pid, number)
            for _ in range(round(timeout_s / POLL_S)):
                pause(POLL_S)
                send(pid, 0)  # raises once it is gone
                if _is_zombie(pid):
                    return
            continue
        return


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'Z'
    return False


def _open_devices(folder: Path) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for link in (folder / 'fd').iterdir():
            with contextlib.suppress(OSError):
                yield os.stat(link).st_rdev


def _name(folder: Path) -> str:
    with contextlib.suppress(OSError):
        words = (folder / 'cmdline').read_bytes().replace(b'\0', b' ')
        return ' '.join(words.decode(errors='replace').split())[:80]
    return '?'
