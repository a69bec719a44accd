"""Environment of the ROS middleware: what a start would fall over, and what is set for it."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kf_imitation.errors import KfImitationError
from kf_imitation.paths import share_path, user_path

LARGEST_DOMAIN = 232  # ROS_DOMAIN_ID; the ports of larger ones do not exist
# What a UDP socket may hold, and what it must hold for images: two or more raw ones of 640x480.
_SOCKET_LIMIT = Path('/proc/sys/net/core/rmem_max')
_SOCKET_BYTES = 2**21


def faults(environment: Mapping[str, str]) -> list[str]:
    """Return what rclpy would not start with, one sentence each with what to do.

    Args:
        environment: variables of the process.
    """
    found = []
    domain = environment.get('ROS_DOMAIN_ID') or '0'
    if not (domain.isascii() and domain.isdigit()) or int(domain) > LARGEST_DOMAIN:
        found.append(f'ROS_DOMAIN_ID = {domain!r} must be a number from 0 to {LARGEST_DOMAIN}')
    place = 'export ROS_LOG_DIR=FOLDER with one that is'
    if (folder := log_folder(environment)) is None:
        found.append(f'HOME is not set, so there is no folder for logs; {place} writable')
    elif not _writable(folder):
        found.append(f'the folder for logs, {folder}, is not writable; {place}')
    return found


def log_folder(environment: Mapping[str, str]) -> Path | None:
    """Return where ROS writes logs, as rcl_logging works it out; None when it cannot."""
    for name, inside in (('ROS_LOG_DIR', ''), ('ROS_HOME', 'log'), ('HOME', '.ros/log')):
        if environment.get(name):
            return user_path(environment[name]) / inside
    return None


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which may have to be made itself."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def namespace_fault(namespace: str) -> str:
    """Return why a namespace is none, and what to write; or ''."""
    inside = namespace.strip('/')
    parts = inside.split('/') if inside else []
    if all(re.fullmatch(r'[A-Za-z_][A-Za-z0-9_]*', part) for part in parts):
        return ''
    better = '/'.join(
        re.sub(r'^(?=[0-9])', '_', re.sub(r'[^A-Za-z0-9_]', '_', p)) for p in parts if p
    )
    return (
        f'namespace {namespace!r} must be of letters, digits and _, not beginning with a digit; '
        f'for example {better}'
    )


def check_namespace(namespace: str) -> None:
    """Reject what is no namespace.

    Raises:
        KfImitationError: with what to write.
    """
    if fault := namespace_fault(namespace):
        raise KfImitationError(fault)


def defaults(environment: Mapping[str, str], foreign_images: bool = False) -> dict[str, str]:
    """Return the variables to add so that images arrive and nothing leaves the machine.

    Args:
        environment: what is set already; it is never overruled.
        foreign_images: the process takes those of another package's camera. What such a camera
            sends through its own shared memory is lost easily, so they come in by UDP, where the
            machine lets a socket hold them.

    Returns:
        FASTDDS_DEFAULT_PROFILES_FILE: a shared-memory segment that holds full-size images
        (other middlewares ignore it), and ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, so that nobody
        else on the network can move the head.
    """
    wanted = {}
    if not {'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'} & set(environment):
        file = 'fastdds_udp.xml' if foreign_images and _sockets_hold_images() else 'fastdds.xml'
        wanted['FASTDDS_DEFAULT_PROFILES_FILE'] = str(share_path(f'config/{file}'))
    if 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in environment:
        wanted['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return wanted


def _sockets_hold_images() -> bool:
    try:
        return int(_SOCKET_LIMIT.read_text(encoding='ascii')) >= _SOCKET_BYTES
    except (OSError, ValueError):  # not Linux
        return False


def remedy_of_lost_images() -> str:
    """Return what keeps the images of a camera from being lost on their way to us."""
    here = 'sudo sysctl -w net.core.rmem_max=4194304 and start the head again, or '
    return (
        f'{"" if _sockets_hold_images() else here}let the camera offer reliable, or start it with '
        f'FASTDDS_DEFAULT_PROFILES_FILE={share_path("config/fastdds.xml")}'
    )


def checked_defaults(
    environment: Mapping[str, str], foreign_images: bool = False
) -> dict[str, str]:
    """Return defaults() of an environment in which rclpy starts.

    Raises:
        KfImitationError: it would not; with every reason.
    """
    if found := faults(environment):
        raise KfImitationError('; '.join(found))
    return defaults(environment, foreign_images)


def apply_defaults(foreign_images: bool = False) -> None:
    """Set them in this process and its children; before rclpy.init.

    Raises:
        KfImitationError: rclpy would not start.
    """
    os.environ.update(checked_defaults(os.environ, foreign_images))


@contextmanager
def ros_needed() -> Iterator[None]:
    """Turn a missing ROS installation into one line; around the import of nodes.

    Raises:
        KfImitationError: rclpy or a message package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or '').split('.')[0] == 'kf_imitation':
            raise
        raise KfImitationError(
            f'ROS 2 is missing ({error.name}): source its setup file, or pip install ".[ros]"'
        ) from error


def quiet_logging() -> None:
    """Let the log of a command go to stderr, in short lines, unless the user chose otherwise."""
    os.environ.setdefault('RCUTILS_LOGGING_USE_STDOUT', '0')
    os.environ.setdefault('RCUTILS_CONSOLE_OUTPUT_FORMAT', '{name}: {message}')
