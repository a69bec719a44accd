"""Answers that other threads complete, awaited in a callback of a node."""

from concurrent.futures import Future
from typing import Any

from rclpy.node import Node
from rclpy.task import Future as RosFuture


def awaitable(node: Node, later: 'Future[Any]') -> Any:
    """Return what a coroutine of a node's executor can await; any thread may complete it.

    Args:
        node: whose executor goes on meanwhile.
        later: the answer.
    """
    awaited = RosFuture()

    def complete(done: 'Future[Any]') -> None:
        awaited.set_result(done.result())
        if (executor := node.executor) is not None:
            executor.wake()  # it may wait for messages without end

    later.add_done_callback(complete)
    return awaited
