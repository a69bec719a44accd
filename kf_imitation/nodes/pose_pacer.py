"""Expressions on their way to the servos: mapped, through the pose budget, the rest by a timer."""

from copy import deepcopy
from time import monotonic

from kf_imitation.data_types import Expression
from kf_imitation.head.interface import Head
from kf_imitation.nodes.node_base import KfNode
from kf_imitation.robot import RobotConfig
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.robot.pose_budget import BudgetCount, PoseBudget

PERIOD_S = 0.02
AHEAD_NS = 500_000_000  # stamps may be this far ahead of our clock


class PosePacer:
    """Sends poses when the joints can follow (robot/pose_budget.py)."""

    def __init__(self, node: KfNode, head: Head, robot: RobotConfig) -> None:
        """Begin.

        Args:
            node: whose executor runs the timer and whose pose_patience_s counts.
            head: gets the goals.
            robot: whose mapping and speeds count.
        """
        self._node, self._head = node, head
        self._mapping = JointMapping(robot)
        self._budget = PoseBudget(robot)
        self._stamp_ns = 0
        self._timer = node.steady_timer(PERIOD_S, self._on_timer)

    def show(self, expression: Expression) -> str:
        """Take an expression; returns '' or why it was rejected."""
        latest_ns = self._node.get_clock().now().nanoseconds + AHEAD_NS
        if expression.stamp_ns <= latest_ns < self._stamp_ns:
            # The last one lies in the future: a bag starts again with /clock, a clock was set.
            self._head.forget_order()
            self._budget.forget()
        self._budget.patience_s = self._node.setting('pose_patience_s', float)
        before = deepcopy(self._budget)
        with self._node.ledger.timed('mapping'):
            goal = self._budget.push(self._mapping.goals(expression), monotonic())
            rejection = self._head.set_goal(goal, expression.stamp_ns)
        if rejection:
            self._budget = before
        else:
            self._stamp_ns = expression.stamp_ns
        return rejection

    def count(self) -> BudgetCount:
        """Poses so far: on time and merged."""
        return self._budget.count()

    def forget(self) -> None:
        """Hold back what is left of the last pose: a service or a trajectory has taken over."""
        self._budget.forget()

    def close(self) -> None:
        """Send nothing any more."""
        self._timer.cancel()
        self._node.discard(self._timer)

    def _on_timer(self) -> None:
        goal = self._budget.due(monotonic())
        if goal is not None:  # a later part of the newest pose
            self._stamp_ns += 1
            self._head.set_goal(goal, self._stamp_ns)
