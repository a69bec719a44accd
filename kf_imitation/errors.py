"""Errors a user can cause; the command line turns each into one clear message and exit code 2."""

import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

# What needs the packages that no system brings on every machine (docs/install.md).
OPTIONAL_PACKAGES = {
    'onnxruntime': 'the models need it: mimic, replay, evaluate, calibrate',
    'rosbags': 'bags need it: replay, record, play, report',
    'mcap': 'MCAP files of Foxglove and of ROS 1 need it; bags of ROS 2 do without',
    'ruckig': 'it plans motion; without it a planner of our own does',
    'aiohttp': 'the cockpit needs it; without it use mimic --no-cockpit',
    'foxglove': 'mimic --foxglove needs it, nothing else',
}
# What training/, face_renderer/, benchmark/ and tests need beside that, by what pip is to install.
DEVELOPER_PACKAGES = {
    '-r training/requirements.txt -c training/constraints.txt': (
        'torch', 'lightning', 'numba', 'webdataset', 'av', 'tensorboard', 'onnx',
    ),
    "-e '.[test]'": ('hypothesis', 'importlinter', 'mujoco', 'pytest', 'yourdfpy'),
    "-e '.[browser]'": ('playwright',),
}  # fmt: skip
# Where pip knows a package by another name.
_DISTRIBUTIONS = {'foxglove': 'foxglove-sdk'}


def nearest(word: str, known: Iterable[str], closeness: float = 0.6) -> str:
    """Return ` (did you mean …?)` with the known word nearest to one; empty where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1, closeness)
    return f' (did you mean {near[0]}?)' if near else ''


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 joint`, `2 joints`."""
    return f'{count} {noun}{"s" if count != 1 else ""}'


class KfImitationError(Exception):
    """Base of every error whose message is written for the user: thing, value and rule."""


class SourceError(KfImitationError):
    """A video source is missing, unreadable or not what it says."""


class ModelError(KfImitationError):
    """A model file is missing, altered (sha256) or does not have the promised inputs."""


class BagError(KfImitationError):
    """A bag cannot be read or written, or lacks the topic asked for."""


class BusError(KfImitationError):
    """The servo bus does not answer, or answers with an error."""


class PortError(BusError):
    """The serial port is absent, busy or not permitted."""


class FaultListError(KfImitationError):
    """Several faults of one thing, all reported at once.

    Attributes:
        subject: what was checked, for example a file name.
        faults: one sentence each: key, value, rule.
    """

    def __init__(self, subject: str, faults: Sequence[str]) -> None:
        self.subject = subject
        self.faults = tuple(faults)
        count = counted(len(self.faults), 'problem')
        super().__init__('\n'.join([f'{subject}: {count}', *(f'  - {f}' for f in self.faults)]))


class ConfigError(FaultListError):
    """A robot file, parameter file or calibration breaks its schema."""


class ServoSetupError(FaultListError, BusError):
    """The servos on the bus are not those of the robot file (missing ids, wrong models)."""


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


def end_without_a_package(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say in one message which package a program lacks and end it with 2, in sys.excepthook.

    The programs of benchmark/, training/ and face_renderer/ set it. What is no missing package
    that we know is reported as ever.
    """
    package = (getattr(error, 'name', None) or '').partition('.')[0]
    by_package = {name: what for what, names in DEVELOPER_PACKAGES.items() for name in names}
    if not issubclass(kind, ModuleNotFoundError) or package not in by_package | OPTIONAL_PACKAGES:
        sys.__excepthook__(kind, error, trace)
        return
    command = install_command(by_package.get(package, package))
    program = sys.modules['__main__'].__spec__
    name = f'{program.name.removesuffix(".__main__")}: ' if program else ''
    print(
        f'{name}the Python package {package} is missing. To install it:\n    {command}',
        file=sys.stderr,
    )
    sys.exit(2)
