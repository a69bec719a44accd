"""What the doctor says: one sentence per check."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kf_imitation.errors import KfImitationError

GOOD, NOTE, BAD = 'good', 'note', 'bad'


@dataclass(frozen=True, slots=True)
class Finding:
    """One check.

    Attributes:
        level: GOOD, NOTE (works, but look) or BAD (a run will fail).
        subject: what was looked at.
        sentence: what was found, and what to do about it.
    """

    level: str
    subject: str
    sentence: str


def attempt(subject: str, check: Callable[[], str]) -> Iterator[Finding]:
    """Turn what a check returns, or the fault it raises, into a finding."""
    try:
        yield Finding(GOOD, subject, check())
    except KfImitationError as error:
        yield Finding(BAD, subject, str(error))
