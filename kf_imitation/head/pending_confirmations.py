"""Answers that come later: a caller asks, the bus thread answers when it saw the result."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        done: it was carried out.
        sentence: what happened, or why not, for people.
    """

    done: bool
    sentence: str


# Asked every cycle: the answer, or None while there is none yet.
Check = Callable[[], Answer | None]


@dataclass(slots=True)
class _Pending:
    check: Check
    timeout_s: float
    otherwise: Callable[[], str]
    future: 'Future[Answer]'
    deadline_s: float | None = None


class PendingConfirmations:
    """Requests that wait for their answer; closed until poll() is called in every cycle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = 'the servos are not in use'
        self._pending: list[_Pending] = []

    def add(
        self, check: Check, timeout_s: float, otherwise: Callable[[], str]
    ) -> 'Future[Answer]':
        """Promise an answer.

        Args:
            check: called in the bus thread once per cycle.
            timeout_s: counted from the next cycle.
            otherwise: says why not when the time is over.
        """
        pending = _Pending(check, timeout_s, otherwise, Future())
        with self._lock:
            if self._closed:
                return at_once(False, self._closed)
            self._pending.append(pending)
        return pending.future

    def open(self) -> None:
        """Accept requests: from now on poll() is called."""
        self._closed = ''

    def poll(self, now_s: float) -> None:
        """Answer what can be answered; runs in the bus thread."""
        with self._lock:
            pending = list(self._pending)
        for one in pending:
            if one.deadline_s is None:
                one.deadline_s = now_s + one.timeout_s
            answer = one.check()
            if answer is None and now_s > one.deadline_s:
                answer = Answer(False, one.otherwise())
            if answer is not None:
                self._settle(one, answer)

    def abandon(self, sentence: str) -> None:
        """Answer all that wait, and all who come later: it will not happen."""
        with self._lock:
            self._closed = sentence
            pending = list(self._pending)
        for one in pending:
            self._settle(one, Answer(False, sentence))

    def _settle(self, one: _Pending, answer: Answer) -> None:
        with self._lock:
            self._pending.remove(one)
        one.future.set_result(answer)


def at_once(done: bool, sentence: str) -> 'Future[Answer]':
    """Return an answer that needs no waiting."""
    future: Future[Answer] = Future()
    future.set_result(Answer(done, sentence))
    return future
