"""Joint topics at the hardware rate, and the time from capture to the servo command."""

from rclpy.node import Node
from sensor_msgs.msg import JointState

from kf_imitation.head.clock import boottime_ns
from kf_imitation.head.reports import ServoCycle
from kf_imitation.head.wanted_cycles import EVERY_HZ
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_joint_state
from kf_imitation.nodes.listeners import has_listeners_but
from kf_imitation.pipeline.statistics import Ledger

# Nodes of ours that show joint_states to people, and what is enough for all of them.
LOOKERS_ON = ('avatar', 'cockpit')
LOOK_HZ = 30.0


class CyclePublisher:
    """Publishes cycles in the thread that hears the motor process, while somebody listens.

    Every cycle, or LOOK_HZ of them where only LOOKERS_ON listen.


    Waking the executor for each of them would cost several times what publishing does.

    Attributes:
        has_commanded: goals were sent to the servos in some cycle.
    """

    def __init__(self, node: Node, ledger: Ledger) -> None:
        """Make the publishers.

        Args:
            node: that publishes.
            ledger: gets the span `capture to command`.
        """
        self._node, self._clock = node, node.get_clock()
        self._ledger = ledger
        # Stamp of the newest expression, and when its goal was given (controller's clock) [ns].
        self._expected: tuple[int, int] | None = None
        self._commanding = False  # as of the newest cycle
        self.has_commanded = False
        profile = qos.joint_topics()
        self._commands = node.create_publisher(JointState, 'servo/joint_commands', profile)
        self._states = node.create_publisher(JointState, 'joint_states', profile)

    def wanted_hz(self) -> float:
        """Return how many cycles a second somebody listens to."""
        if self._commands.get_subscription_count():
            return EVERY_HZ
        if has_listeners_but(self._node, self._states, LOOKERS_ON):
            return EVERY_HZ
        return LOOK_HZ if self._states.get_subscription_count() else 0.0

    def expect(self, stamp_ns: int) -> None:
        """Say that a goal for an expression of this capture time was given just now.

        The next cycle carries it out. Where that one sends nothing, because the head was stopped
        or lost, nothing is measured: how long it stays so is no latency.
        """
        if self._commanding:
            self._expected = stamp_ns, boottime_ns()

    def forget(self) -> None:
        """Measure nothing of the last expression: the motor process is gone, silent or back."""
        self._expected = None

    def take(self, cycle: ServoCycle) -> None:
        """Publish a cycle."""
        self.has_commanded |= cycle.commanding
        now_ns = self._clock.now().nanoseconds
        if now_ns == 0:  # a bag's time that has not come yet
            return
        stamp_ns = cycle.stamp_ns + now_ns - boottime_ns()
        expected, self._commanding = self._expected, cycle.commanding
        if expected is not None and cycle.stamp_ns >= expected[1]:
            self._expected = None
            if cycle.commanding:
                self._ledger.observe('capture to command', (stamp_ns - expected[0]) * 1e-9)
        if cycle.commanding and self._commands.get_subscription_count():
            self._commands.publish(to_joint_state(stamp_ns, cycle.names, cycle.commanded_rad))
        if cycle.fresh and self._states.get_subscription_count():
            self._states.publish(
                to_joint_state(
                    stamp_ns,
                    cycle.names,
                    cycle.present_rad,
                    cycle.velocity_rad_s,
                    cycle.current_a,
                )
            )
