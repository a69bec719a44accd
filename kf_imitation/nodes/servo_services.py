"""Services of the servo node: enable, stop, reset, neutral."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from kf_imitation.servo.controller import ServoController

# Service -> what it calls; each answers at once, the next bus cycle does it.
TRIGGERS: dict[str, Callable[[ServoController], None]] = {
    'stop': ServoController.stop,
    'reset': ServoController.reset,
    'neutral': ServoController.relax,
}


def offer_services(node: Node, controller: Callable[[], ServoController | None]) -> None:
    """Make ~/enable torque (SetBool) and ~/stop, ~/reset, ~/neutral (Trigger).

    Args:
        node: that offers them.
        controller: returns the one in use; None while the node is not configured.
    """

    def offer(name: str, kind: Any, act: Callable[[ServoController, Any], None]) -> None:
        def answer(request: Any, response: Any) -> Any:
            current = controller()
            if current is None:
                response.success, response.message = False, 'the servo node is not configured'
                return response
            act(current, request)
            response.success, response.message = True, f'{name}: in the next bus cycle'
            return response

        node.create_service(kind, f'~/{name}', answer)

    offer('enable', SetBool, lambda current, request: current.torque(bool(request.data)))
    for name, method in TRIGGERS.items():
        offer(name, Trigger, lambda current, _, method=method: method(current))  # type: ignore[misc]
