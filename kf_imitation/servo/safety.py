"""The last word on motion: what may be commanded, cycle by cycle; pure, no bus, no clock.

Invariant: from every commanded state a jerk-limited stop (brake.py) stays inside all limits. A
proposal is taken only if the state it leads to keeps that invariant and could be reached within
one period; otherwise the joints brake along the stop that was checked before. So no planner, no
goal and no fault can lead over a limit.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kf_imitation.robot_config import RobotConfig
from kf_imitation.servo.brake import Brake, Motion, plan_brake

Array = NDArray[np.float64]
TOLERANCE = 1e-7  # of positions [rad] and, scaled by the period, of their derivatives
ROUNDING = 1e-12  # rad
GOAL_MARGIN = 0.002  # goals stay this far from coupled limits, so that stops fit in between
CREEP_RAD_S = 0.3  # speed of a joint that is still outside its limits
PROJECTIONS = 20


class SafetyLimiter:
    """Checks commands and limits motion of one robot.

    Attributes:
        state: what is commanded now.
        rejected: proposals refused so far.
        refused: commands refused so far.
    """

    def __init__(self, robot: RobotConfig, period_s: float) -> None:
        joints = robot.joints
        self._names = robot.names
        self._period_s = period_s
        self._low = np.array([j.limits_rad[0] for j in joints])
        self._high = np.array([j.limits_rad[1] for j in joints])
        self._neutral = np.array([j.neutral_rad for j in joints])
        self._velocity = np.array([j.max_velocity_rad_s for j in joints])
        self._acceleration = np.array([j.max_acceleration_rad_s2 for j in joints])
        self._jerk = np.array([j.max_jerk_rad_s3 for j in joints])
        self._matrix = np.zeros((len(robot.coupled_limits), len(joints)))
        for row, limit in enumerate(robot.coupled_limits):
            for name, factor in limit.terms.items():
                self._matrix[row, self._names.index(name)] = factor
        self._bound = np.array([limit.maximum_rad for limit in robot.coupled_limits])
        self._last_stamp_ns: int | None = None
        self.rejected = 0
        self.refused = 0
        self.reset(self._neutral)

    def reset(self, position_rad: Array) -> None:
        """Start at rest from a measured pose, which may lie outside the limits."""
        zero = np.zeros(len(self._names))
        self.state = Motion(position_rad.astype(np.float64), zero, zero.copy())
        self._history = [self.state.position] * 3
        self._brake: Brake | None = None
        self._brake_s = 0.0

    def reset_joints(self, indices: Sequence[int], position_rad: Array) -> None:
        """Start some joints again at rest from their measured angle, (J,); others go on."""
        parts = [self.state.position.copy(), self.state.velocity.copy()]
        parts.append(self.state.acceleration.copy())
        at = list(indices)
        self._history = [old.copy() for old in self._history]
        for old in (*self._history, parts[0]):
            old[at] = position_rad[at]
        parts[1][at] = 0.0
        parts[2][at] = 0.0
        self.state = Motion(parts[0], parts[1], parts[2])
        self._brake = None

    @property
    def outside(self) -> NDArray[np.bool_]:
        """(J,) joints that still are on their way back into their limits."""
        position = self.state.position
        outside: NDArray[np.bool_] = (position < self._low) | (position > self._high)
        broken = self._matrix @ position > self._bound + TOLERANCE
        outside |= np.any(self._matrix[broken] != 0.0, axis=0)
        return outside

    @property
    def speed_share(self) -> Array:
        """(J,) share of the velocity limit that a plan may use now; small while outside."""
        share: Array = np.where(self.outside, np.minimum(1.0, CREEP_RAD_S / self._velocity), 1.0)
        return share

    def fault(self, position_rad: Array, stamp_ns: int) -> str:
        """Check a command and note its stamp; a refused one changes nothing.

        Args:
            position_rad: (J,) goals.
            stamp_ns: must grow from command to command.

        Returns:
            Why it is refused, in one sentence; '' when it is good.
        """
        reason = self._fault(position_rad, stamp_ns)
        if reason:
            self.refused += 1
        else:
            self._last_stamp_ns = stamp_ns
        return reason

    def _fault(self, position_rad: Array, stamp_ns: int) -> str:
        if position_rad.shape != self._low.shape:
            return f'{position_rad.size} positions for {len(self._low)} joints'
        bad = [n for n, v in zip(self._names, position_rad, strict=True) if not np.isfinite(v)]
        if bad:
            return f'not a finite position for {", ".join(bad)}'
        beyond = (position_rad < self._low - 1e-6) | (position_rad > self._high + 1e-6)
        if beyond.any():
            index = int(np.argmax(beyond))
            return (
                f'{self._names[index]} = {position_rad[index]:.3f} rad is outside '
                f'[{self._low[index]:g}, {self._high[index]:g}]'
            )
        if self._last_stamp_ns is not None and stamp_ns <= self._last_stamp_ns:
            late = (self._last_stamp_ns - stamp_ns) * 1e-9
            return f'out of order: {late:.3f} s older than the command before it'
        return ''

    def allowed_goal(self, position_rad: Array) -> Array:
        """Return the goal (J,) inside all limits that is near to a finite one."""
        goal: Array = np.clip(position_rad, self._low, self._high)
        bound = np.maximum(self._bound - GOAL_MARGIN, self._matrix @ self._neutral)
        for _ in range(PROJECTIONS):
            over = self._matrix @ goal - bound
            if not np.any(over > 0.0):
                return goal
            row = self._matrix[int(np.argmax(over))]
            goal = goal - row * over.max() / (row @ row)
            goal = np.clip(goal, self._low, self._high)
        # Rarely: towards the neutral pose, which keeps every limit.
        rest = self._matrix @ self._neutral
        way = self._matrix @ goal - rest
        share = min([1.0, *((bound - rest)[way > 0.0] / way[way > 0.0])])
        goal = self._neutral + share * (goal - self._neutral)
        return goal

    def step(self, proposal: Motion | None) -> bool:
        """Advance one period: take the proposal, or brake without or in spite of it.

        Returns:
            Whether the proposal was taken; the new command is in `state`.
        """
        taken = proposal is not None and self._reachable(proposal)
        if taken and proposal is not None:
            brake = plan_brake(proposal, self._acceleration, self._jerk)
            taken = self._stays_inside(brake)
        if taken and proposal is not None:
            self._brake, self._brake_s, self.state = brake, 0.0, proposal
        else:
            self.rejected += proposal is not None
            if self._brake is None:
                self._brake = plan_brake(self.state, self._acceleration, self._jerk)
                self._brake_s = 0.0
            self._brake_s += self._period_s
            self.state = self._brake.at(self._brake_s)
        self._history = [*self._history[1:], self.state.position]
        return taken

    @property
    def at_rest(self) -> bool:
        """Nothing is commanded to move."""
        moving = np.abs(self.state.velocity) > TOLERANCE
        return not (moving.any() or (np.abs(self.state.acceleration) > TOLERANCE).any())

    def _reachable(self, new: Motion) -> bool:
        """Whether limits on derivatives allow the step from the present state to `new`."""
        dt, old, jerk = self._period_s, self.state, self._jerk
        if not all(np.isfinite(x).all() for x in (new.position, new.velocity, new.acceleration)):
            return False
        drift = new.position - old.position - dt * (old.velocity + dt / 2.0 * old.acceleration)
        gain = new.velocity - old.velocity - dt * old.acceleration
        before, last = self._history[-2], self._history[-1]
        second = new.position - 2.0 * last + before
        third = new.position - 3.0 * last + 3.0 * before - self._history[-3]
        top = np.where(self.outside, np.minimum(self._velocity, CREEP_RAD_S), self._velocity)
        pairs = (
            (new.velocity, top, TOLERANCE / dt),
            (new.position - last, top * dt, TOLERANCE),
            (new.acceleration, self._acceleration, TOLERANCE / dt**2),
            (second, self._acceleration * dt**2, TOLERANCE),
            (new.acceleration - old.acceleration, jerk * dt, TOLERANCE / dt**2),
            (gain, jerk * dt**2 / 2.0, TOLERANCE / dt),
            (drift, jerk * dt**3 / 6.0, TOLERANCE),
            (third, jerk * dt**3, TOLERANCE),
        )
        return all(bool(np.all(np.abs(x) <= bound + slack)) for x, bound, slack in pairs)

    def _stays_inside(self, brake: Brake) -> bool:
        """Whether every commanded point of a stop is inside the limits.

        A start outside is allowed for, as long as the way beyond a limit never grows again.
        """
        count = int(np.ceil(brake.duration_s / self._period_s)) + 1
        times: Array = self._period_s * np.arange(count, dtype=np.float64)[:, None]
        path = np.vstack([self.state.position, brake.at(times).position])
        coupled = path @ self._matrix.T
        return (
            _only_inwards(path, self._high)
            and _only_inwards(-path, -self._low)
            and _only_inwards(coupled, self._bound)
        )


def _only_inwards(path: Array, bound: Array) -> bool:
    """Whether no point of a path (K, N) beyond the bound is further out than the one before."""
    allowed = np.maximum(bound + TOLERANCE, path[:-1] + ROUNDING)
    return bool((path[1:] <= allowed).all())
