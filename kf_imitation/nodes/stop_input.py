"""A stop from hardware: a topic that has to say, again and again, that nobody has pressed it."""

import math
import time
from collections.abc import Callable

from std_msgs.msg import Bool

from kf_imitation.nodes.node_base import KfNode

TOPIC = 'servo/emergency_stop'
LOOK_S = 0.02


class StopInput:
    """Stops the head when somebody presses, or when the heartbeat stays away."""

    def __init__(self, node: KfNode, longest_s: float, stop: Callable[[str], None]) -> None:
        """Listen from now on.

        Args:
            node: the servo node.
            longest_s: silence that is a stop; 0 does not listen at all.
            stop: called again and again with the reason while there is one.
        """
        self._longest_s, self._stop = longest_s, stop
        self._heard_s, self._pressed = -math.inf, False
        if longest_s:
            node.create_subscription(Bool, TOPIC, self._hear, 1)
            node.steady_timer(LOOK_S, self._look)

    @property
    def problem(self) -> str:
        """Why the head may not have torque now; '' when it may."""
        if not self._longest_s:
            return ''
        if time.monotonic() - self._heard_s > self._longest_s:
            return f'{TOPIC} was silent for more than {self._longest_s:g} s'
        return f'{TOPIC} is pressed' if self._pressed else ''

    def values(self) -> dict[str, object]:
        """Return the state of the input for /diagnostics."""
        return {'emergency stop': self.problem or 'not pressed'} if self._longest_s else {}

    def _hear(self, message: Bool) -> None:
        self._heard_s, self._pressed = time.monotonic(), bool(message.data)
        self._look()

    def _look(self) -> None:
        if problem := self.problem:
            self._stop(problem)
