"""Services of the servo node; each answers when the servos have confirmed, or why they did not."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from kf_imitation.head.interface import Head
from kf_imitation.head.pending_confirmations import Answer, at_once
from kf_imitation.nodes.awaiting import awaitable

Act = Callable[[Head, Any], 'Future[Answer]']


def _neutral(head: Head, request: Any) -> 'Future[Answer]':
    if head.latched:
        return at_once(False, 'stopped: reset first')
    head.relax()
    return at_once(True, 'on the way to neutral')


# Name -> type, what it does, and whether it needs an active node. A stop counts at any time.
SERVICES: dict[str, tuple[Any, Act, bool]] = {
    'torque': (SetBool, lambda head, request: head.torque(bool(request.data)), True),
    'stop': (Trigger, lambda head, _: head.stop(), False),
    'reset': (Trigger, lambda head, _: head.reset(), False),
    'neutral': (Trigger, _neutral, True),
    'clear_error': (Trigger, lambda head, _: head.recover(careful=True), True),
    'reboot': (Trigger, lambda head, _: head.recover(careful=False), True),
}


def offer_services(
    node: Node,
    head: Callable[[], Head | None],
    active: Callable[[], bool],
    take_over: Callable[[], None],
    forbidden: Callable[[], str],
) -> None:
    """Make ~/torque (SetBool) and ~/stop, reset, neutral, clear_error, reboot (Trigger).

    Args:
        node: that offers them; its executor goes on while an answer is awaited.
        head: returns the one in use; None while the node is not configured.
        active: whether the node is.
        take_over: called before a service acts, to end what still moves the head.
        forbidden: why no torque may come back now; '' for no reason.
    """
    # An answer that waits for the servos holds up no other callback, least of all a stop.
    group = ReentrantCallbackGroup()

    def offer(name: str, kind: Any, act: Act, needs_active: bool) -> None:
        async def answer(request: Any, response: Any) -> Any:
            current = head()
            if current is None:
                response.success, response.message = False, 'the servo node is not configured'
            elif needs_active and not active():
                response.success, response.message = False, 'the servo node is not active'
            elif (name == 'reset' or (name == 'torque' and request.data)) and (why := forbidden()):
                response.success, response.message = False, f'{name}: {why}'
            else:
                take_over()
                result = await awaitable(node, act(current, request))
                response.success, response.message = result.done, f'{name}: {result.sentence}'
                if not result.done:
                    node.get_logger().warning(response.message)
            return response

        node.create_service(kind, f'~/{name}', answer, callback_group=group)

    for name, (kind, act, needs_active) in SERVICES.items():
        offer(name, kind, act, needs_active)
