"""Jogs on servo/joint_trajectory, from a publisher that is there only while somebody jogs."""

from concurrent.futures import Future
from time import monotonic

from rclpy.node import Node
from rclpy.publisher import Publisher
from trajectory_msgs.msg import JointTrajectory

from kf_imitation.cockpit.actions import JOG_HOLD_S, Jog, Outcome
from kf_imitation.nodes import qos

# A servo node that was found needs as long to find this publisher.
MATCH_S = 0.3
MATCH_TIMEOUT_S = 3.0
IDLE_S = 2 * JOG_HOLD_S


class Jogger:
    """Sends the newest jog.

    The first who sends on the topic has it until it is gone (command_senders.py), so the publisher
    goes when nobody jogs any more.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher: Publisher | None = None
        self._waiting: tuple[JointTrajectory, Jog, Future[Outcome]] | None = None
        self._asked_s = 0.0
        self._matched_s: float | None = None

    def send(self, message: JointTrajectory, jog: Jog, outcome: 'Future[Outcome]') -> None:
        """Send a jog as soon as the servo node can hear it; in the thread of the executor."""
        if self._publisher is None:
            self._matched_s = None
            self._publisher = self._node.create_publisher(
                JointTrajectory, 'servo/joint_trajectory', qos.keyframe_topics()
            )
        self._settle(False, 'a newer one came')
        self._waiting = message, jog, outcome
        self._asked_s = monotonic()
        self.tick(self._asked_s)

    def tick(self, now_s: float) -> None:
        """Go on; called several times a second."""
        if self._publisher is None:
            return
        if self._matched_s is None and self._publisher.get_subscription_count():
            self._matched_s = now_s
        if self._waiting is not None:
            if self._matched_s is not None and now_s - self._matched_s >= MATCH_S:
                message, jog, _ = self._waiting
                self._publisher.publish(message)
                self._settle(True, f'{jog.joint} goes to {jog.position_rad:+.2f} rad')
            elif now_s - self._asked_s > MATCH_TIMEOUT_S:
                self._settle(False, 'no servo node listens: nothing was moved')
        elif now_s - self._asked_s > IDLE_S:
            self._node.destroy_publisher(self._publisher)
            self._publisher = None

    def _settle(self, done: bool, sentence: str) -> None:
        if self._waiting is not None:
            self._waiting[2].set_result(Outcome(done, sentence))
            self._waiting = None
