"""Python packages that no system package brings on every machine (docs/install.md)."""

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from kf_imitation.errors import KfImitationError

# What needs them.
OPTIONAL_PACKAGES = {
    'onnxruntime': 'the models need it: mimic, replay, evaluate, calibrate',
    'rosbags': 'bags need it: replay, record, play, report',
    'mcap': 'MCAP files of Foxglove and of ROS 1 need it; bags of ROS 2 do without',
    'ruckig': 'it plans motion; without it a planner of our own does',
    'aiohttp': 'the cockpit needs it; without it use mimic --no-cockpit',
    'foxglove': 'mimic --foxglove needs it, nothing else',
}
# Where pip knows a package by another name.
_DISTRIBUTIONS = {'foxglove': 'foxglove-sdk'}


class MissingPackageError(KfImitationError):
    """A package is not installed: who needs it, and the command that installs it."""

    def __init__(self, package: str) -> None:
        use = OPTIONAL_PACKAGES[package]
        super().__init__(
            f'the Python package {package} is missing ({use}). '
            f'To install it:\n    {install_command(package)}'
        )


def install_command(*packages: str) -> str:
    """Return the command that installs packages for the Python that runs this.

    Into a virtual environment as always. Beside a system's Python into the user's own folder,
    where programs of colcon and `ros2 launch` find them; nothing of the system changes.
    """
    words = [sys.executable, '-m', 'pip', 'install']
    if sys.prefix == sys.base_prefix:
        words.append('--user')
        if Path(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED').is_file():
            words.append('--break-system-packages')
    return ' '.join([*words, *(_DISTRIBUTIONS.get(name, name) for name in packages)])


def check_package(package: str) -> None:
    """Reject a run that needs a package, before anything starts.

    Raises:
        MissingPackageError: it is not installed.
    """
    if find_spec(package) is None:
        raise MissingPackageError(package)


@contextmanager
def missing_packages_named() -> Iterator[None]:
    """Raise MissingPackageError in place of ModuleNotFoundError where we know the package."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or '').partition('.')[0]
        if package not in OPTIONAL_PACKAGES:
            raise
        raise MissingPackageError(package) from error
