"""Environment of the ROS middleware, set unless the user has set it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kf_imitation.errors import KfImitationError
from kf_imitation.paths import share_path


def defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add so that images arrive and nothing leaves the machine.

    Args:
        environment: what is set already; it is never overruled.

    Returns:
        FASTDDS_DEFAULT_PROFILES_FILE: a shared-memory segment that holds full-size images
        (other middlewares ignore it), and ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, so that nobody
        else on the network can move the head.
    """
    wanted = {}
    if not {'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'} & set(environment):
        wanted['FASTDDS_DEFAULT_PROFILES_FILE'] = str(share_path('config/fastdds.xml'))
    if 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in environment:
        wanted['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return wanted


def apply_defaults() -> None:
    """Set them in this process and its children; before rclpy.init."""
    os.environ.update(defaults(os.environ))


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
