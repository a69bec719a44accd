"""What watchers see: the newest of each thing, and short histories.

A reader takes what changed since it last did. One that reads slowly finds the newest values and
never what was overwritten meanwhile, so nothing piles up, however slow and however many.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from threading import Lock
from typing import Any

HISTORY = 400  # events of one kind that a late reader still gets: 13 s of scores at 30 fps


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on its way to the page.

    Attributes:
        about: what the page has to know, for JSON.
        data: a JPEG file, or the points of a drawing.
    """

    about: dict[str, Any]
    data: bytes


class Board:
    """Values by name, written by one thread and read by others."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._mark = 0
        self._values: dict[str, tuple[int, Any]] = {}
        self._events: dict[str, deque[tuple[int, Any]]] = {}

    def put(self, name: str, value: Any) -> None:
        """Show a value in place of the one before; the caller does not change it any more."""
        with self._lock:
            self._mark += 1
            self._values[name] = self._mark, value

    def append(self, name: str, event: Any, kept: int = HISTORY) -> None:
        """Add an event to a history, of which the last ones are kept."""
        with self._lock:
            self._mark += 1
            self._events.setdefault(name, deque(maxlen=kept)).append((self._mark, event))

    def keep_only(self, names: Collection[str]) -> None:
        """Forget everything else; readers keep what they have."""
        with self._lock:
            self._values = {name: self._values[name] for name in names if name in self._values}
            self._events.clear()

    def changes(
        self, mark: int, unwanted: frozenset[str] = frozenset()
    ) -> tuple[int, dict[str, Any]]:
        """Return what changed since a mark, and the mark of now; 0 asks for everything.

        Args:
            mark: what the last call returned.
            unwanted: names that the reader does not take.

        Returns:
            Values by name, and histories as lists of their new events.
        """
        with self._lock:
            found = {
                name: value
                for name, (when, value) in self._values.items()
                if when > mark and name not in unwanted
            }
            for name, events in self._events.items():
                if name not in unwanted and events[-1][0] > mark:
                    found[name] = [event for when, event in events if when > mark]
            return self._mark, found
