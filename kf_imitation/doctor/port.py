"""Checks of the serial device: is it there, may it be opened, how slow is its adapter.

Everything is looked up below `root`, so that tests can build a small /dev, /sys and /etc.
"""

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kf_imitation.actuators.dynamixel.host_tuning import (
    GOOD_MS,
    device_path,
    latency_ms,
    latency_remedy,
)
from kf_imitation.doctor.finding import ERROR, OK, WARN, Finding

ROOT = Path('/')


def check_port(port: str, root: Path = ROOT) -> Iterator[Finding]:
    """Check a device path before it is opened."""
    subject, path = f'port {port}', device_path(port, root)
    if not path.exists():
        yield Finding(
            ERROR, subject, f'does not exist; is the adapter plugged in? {_others(root)}'
        )
        return
    if not os.access(path, os.R_OK | os.W_OK):
        yield Finding(ERROR, subject, f'no permission: {_remedy(path, root)}')
        return
    stable = _stable_name(path, root)
    if stable and stable != port:
        yield Finding(
            WARN, subject, f'may be opened; {stable} is the same and keeps its name when replugged'
        )
    else:
        yield Finding(OK, subject, 'may be opened')


def check_latency(port: str, root: Path = ROOT, opened: bool = False) -> Iterator[Finding]:
    """Check the adapter's latency timer; `opened`: we have asked for low latency already."""
    timer = latency_ms(port, root)
    subject = f'latency of {port}'
    if timer is None:
        return
    if timer <= GOOD_MS:
        yield Finding(OK, subject, f'latency_timer is {timer} ms')
    elif opened:
        sentence = f'latency_timer stays at {timer} ms, too slow for 100 Hz: '
        yield Finding(ERROR, subject, sentence + latency_remedy(port, root))
    else:
        sentence = f'latency_timer is {timer} ms; opening the port asks for {GOOD_MS} ms. '
        yield Finding(WARN, subject, f'{sentence}For other programs: {latency_remedy(port, root)}')


def _others(root: Path) -> str:
    known = sorted((root / 'dev/serial/by-id').glob('*'))
    if not known:
        return 'No USB serial adapter is there at all.'
    return 'There are: ' + ', '.join(f'/dev/serial/by-id/{path.name}' for path in known)


def _stable_name(path: Path, root: Path) -> str:
    for link in sorted((root / 'dev/serial/by-id').glob('*')):
        if link.resolve() == path.resolve():
            return f'/dev/serial/by-id/{link.name}'
    return ''


def _remedy(path: Path, root: Path) -> str:
    """Say how this user gets the right to use a device."""
    status = path.stat()
    try:
        group = grp.getgrgid(status.st_gid)
    except KeyError:
        return f'its group {status.st_gid} has no name: {_udev_rule(path, root)}'
    if not status.st_mode & stat.S_IRGRP or group.gr_name == 'root':
        return f'no group may use it: {_udev_rule(path, root)}'
    if status.st_gid in os.getgroups():
        return f'group {group.gr_name} may not write it: {_udev_rule(path, root)}'
    user = os.environ.get('USER', '')
    if user in group.gr_mem:
        return f'you are in group {group.gr_name} only after you log in again'
    return (
        f'sudo usermod -aG {group.gr_name} $USER, then log in again (it belongs to group '
        f'{group.gr_name}); or {_udev_rule(path, root)}'
    )


def _udev_rule(path: Path, root: Path) -> str:
    vendor, product = _usb_ids(path, root)
    which = f'ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", ' if vendor else ''
    return (
        'a line in /etc/udev/rules.d/99-kf-imitation.rules: '
        f'SUBSYSTEM=="tty", {which}MODE="0660", GROUP="dialout", then '
        'sudo udevadm control --reload && sudo udevadm trigger'
    )


def _usb_ids(path: Path, root: Path) -> tuple[str, str]:
    """Return vendor and product of the USB device behind a tty, '' where there is none."""
    device = (root / 'sys/class/tty' / path.resolve().name / 'device').resolve()
    for folder in (device, *device.parents):
        if (folder / 'idVendor').is_file():
            ids = [(folder / name).read_text().strip() for name in ('idVendor', 'idProduct')]
            return ids[0], ids[1]
    return '', ''
