"""What the doctor says: one sentence per check."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kf_imitation.errors import KfImitationError

OK, WARN, ERROR = 'ok', 'warn', 'error'


@dataclass(frozen=True, slots=True)
class Finding:
    """One check.

    Attributes:
        level: OK, WARN (works, but read it) or ERROR (a run will fail).
        subject: what was checked.
        sentence: what was found, and what to do about it.
    """

    level: str
    subject: str
    sentence: str


def attempt(subject: str, check: Callable[[], str]) -> Iterator[Finding]:
    """Turn what a check returns, or the error it raises, into a finding."""
    try:
        yield Finding(OK, subject, check())
    except KfImitationError as error:
        yield Finding(ERROR, subject, str(error))
