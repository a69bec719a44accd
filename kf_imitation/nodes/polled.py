"""Subscriptions that wake nobody: their messages wait until somebody looks.

A woken executor costs a third of a millisecond and more; 100 joint states a second, for a page
that shows 30, cost as much as a picture.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.subscription import Subscription


class Polled(CallbackGroup):  # type: ignore[misc]
    """The callback group of such subscriptions, which no executor waits for."""

    def can_execute(self, entity: object) -> bool:
        """Return False: `look` or `waiting` takes the messages."""
        return False


def waiting(subscription: 'Subscription[Any]') -> Iterator[tuple[Any, Mapping[str, int]]]:
    """Yield the messages that wait, oldest first, with what the middleware knows of each."""
    while True:
        with subscription.handle:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        if taken is None:
            return
        yield taken


def look(subscription: 'Subscription[Any]') -> None:
    """Give all messages that wait to the callback, in the caller's thread."""
    for message, _ in waiting(subscription):
        subscription.callback(message)
