"""A head of simulated servos on virtual time: the live controller, without packets and waiting."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.head.controller import ServoController
from kf_imitation.head.pose_pacer import PosePacer
from kf_imitation.head.reports import ServoCycle
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.replay.record import JointTrace, RadArray
from kf_imitation.robot import RobotConfig
from kf_imitation.robot.pose_budget import PoseBudget


class VirtualHead:
    """Runs the servo controller's cycles when its caller lets time pass.

    The first cycle is at the start, the others follow at the servo rate. Without a goal and
    without a face for the hold time it relaxes to neutral, like the servo node.

    Args:
        robot: the head.
        rate_hz: cycles per second.
        hold_s: time without goal and face after which it relaxes.
        budget: merges poses that the joints cannot reach; None sends every pose at once.

    Attributes:
        on_cycle: called with each cycle.
        rejected: goals that the controller rejected, each with its reason.
    """

    def __init__(
        self,
        robot: RobotConfig,
        rate_hz: float,
        hold_s: float,
        budget: PoseBudget | None = None,
    ) -> None:
        self.on_cycle: Callable[[ServoCycle], None] | None = None
        self.rejected: list[str] = []
        self._now_s = 0.0
        self._period_ns = 1e9 / rate_hz
        self._controller = ServoController(
            robot,
            InProcessBus(simulated_servos(robot)),
            rate_hz,
            clock=lambda: self._now_s,
            hold_s=hold_s,
            pause=lambda _: None,
            stamp_clock_ns=None,
        )
        self._pacer = None if budget is None else PosePacer(self._controller, budget)
        self._start_ns: int | None = None
        self._cycles: list[ServoCycle] = []

    def start(self, stamp_ns: int) -> None:
        """Take torque at a stamp; the head is in neutral.

        Raises:
            BusError: the robot file does not fit the simulated servos.
        """
        self._start_ns = stamp_ns
        self._controller.start(threaded=False)

    def set_goal(self, goal_rad: RadArray, stamp_ns: int, expression_ns: int) -> None:
        """Give a goal; the next cycle after `stamp_ns` takes it.

        Args:
            goal_rad: (J,).
            stamp_ns: now.
            expression_ns: when the person looked so; must grow.
        """
        self.advance(stamp_ns)
        self._set_clock(stamp_ns)
        if self._pacer is None:
            reason = self._controller.set_goal(goal_rad, expression_ns)
        else:
            reason = self._pacer.show(goal_rad, expression_ns, self._now_s, stamp_ns)
        if reason:
            self.rejected.append(reason)

    def see_face(self, stamp_ns: int) -> None:
        """Keep the pose alive: the person is there, even while no keyframe comes."""
        self.advance(stamp_ns)
        self._set_clock(stamp_ns)
        self._controller.keep_alive()

    def advance(self, until_ns: int) -> None:
        """Run all cycles that are due up to and including a stamp."""
        assert self._start_ns is not None, 'start() comes first'
        while (due_ns := self._due_ns()) <= until_ns:
            self._set_clock(due_ns)
            if self._pacer is not None:
                self._pacer.tick(self._now_s)
            cycle = replace(self._controller.step(self._now_s), stamp_ns=due_ns)
            self._cycles.append(cycle)
            if self.on_cycle is not None:
                self.on_cycle(cycle)

    def trace(self) -> JointTrace:
        """Return all cycles so far."""
        names = self._controller.robot.names
        shape = len(self._cycles), len(names)
        return JointTrace(
            names,
            np.array([c.stamp_ns for c in self._cycles], np.int64),
            np.array([c.goal_rad for c in self._cycles]).reshape(shape),
            np.array([c.commanded_rad for c in self._cycles]).reshape(shape),
            np.array([c.present_rad for c in self._cycles]).reshape(shape),
        )

    def _due_ns(self) -> int:
        # Counted from the start, so that rounding does not add up.
        return (self._start_ns or 0) + round(len(self._cycles) * self._period_ns)

    def _set_clock(self, stamp_ns: int) -> None:
        # Relative, because a float holds no wall clock to the nanosecond.
        self._now_s = (stamp_ns - (self._start_ns or 0)) * 1e-9
