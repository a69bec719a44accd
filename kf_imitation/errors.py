"""Errors a user can cause; the command line turns each into one clear message and exit code 2."""

from collections.abc import Iterable, Sequence


def nearest(word: str, known: Iterable[str], closeness: float = 0.6) -> str:
    """Return ` (did you mean …?)` with the known word nearest to one; empty where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1, closeness)
    return f' (did you mean {near[0]}?)' if near else ''


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
        count = f'{len(self.faults)} problem' + ('s' if len(self.faults) != 1 else '')
        super().__init__('\n'.join([f'{subject}: {count}', *(f'  - {f}' for f in self.faults)]))


class ConfigError(FaultListError):
    """A robot file, parameter file or calibration breaks its schema."""


class ServoSetupError(FaultListError, BusError):
    """The servos on the bus are not those of the robot file (missing ids, wrong models)."""
