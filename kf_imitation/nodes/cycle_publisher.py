"""Joint topics at the hardware rate, and the time from capture to the servo command."""

from collections import deque

from rclpy.node import Node
from sensor_msgs.msg import JointState

from kf_imitation.head.clock import boottime_ns
from kf_imitation.head.reports import ServoCycle
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import to_joint_state
from kf_imitation.pipeline.statistics import Ledger

# Half a second of cycles: an executor that is later than that has lost them.
_KEPT = 50


class CyclePublisher:
    """Takes cycles in the thread that hears the motor process, publishes in the executor."""

    def __init__(self, node: Node, ledger: Ledger) -> None:
        """Make the publishers.

        Args:
            node: spins them.
            ledger: gets the span `capture to command`.
        """
        self._clock = node.get_clock()
        self._ledger = ledger
        self._cycles: deque[ServoCycle] = deque(maxlen=_KEPT)
        # Stamp of the newest expression, and when its goal was given (controller's clock) [ns].
        self._expected: tuple[int, int] | None = None
        self._wake = node.create_guard_condition(self._publish)
        profile = qos.joint_topics()
        self._commands = node.create_publisher(JointState, 'servo/joint_commands', profile)
        self._states = node.create_publisher(JointState, 'joint_states', profile)

    def expect(self, stamp_ns: int) -> None:
        """Say that a goal for an expression of this capture time was given just now."""
        self._expected = stamp_ns, boottime_ns()

    def take(self, cycle: ServoCycle) -> None:
        """Hand a cycle over; runs in another thread than the executor, so it is short."""
        expected = self._expected
        if expected is not None and cycle.commanding and cycle.stamp_ns >= expected[1]:
            self._expected = None
            sent_ns = self._clock.now().nanoseconds - (boottime_ns() - cycle.stamp_ns)
            self._ledger.observe('capture to command', (sent_ns - expected[0]) * 1e-9)
        self._cycles.append(cycle)
        self._wake.trigger()

    def _publish(self) -> None:
        now_ns = self._clock.now().nanoseconds
        if now_ns == 0:  # a bag's time that has not come yet
            self._cycles.clear()
            return
        to_ros_ns = now_ns - boottime_ns()
        while self._cycles:
            cycle = self._cycles.popleft()
            stamp_ns = cycle.stamp_ns + to_ros_ns
            if cycle.commanding:
                self._commands.publish(to_joint_state(stamp_ns, cycle.names, cycle.commanded_rad))
            if cycle.fresh:
                self._states.publish(
                    to_joint_state(
                        stamp_ns,
                        cycle.names,
                        cycle.present_rad,
                        cycle.velocity_rad_s,
                        cycle.current_a,
                    )
                )
