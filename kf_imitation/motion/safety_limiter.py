"""The last word on motion: what may be commanded, cycle by cycle; pure, no bus, no clock.

Invariant: from every commanded state a jerk-limited stop (Brake) stays inside all limits. A
proposal is taken only if the state it leads to keeps that invariant and could be reached within
one period; otherwise the joints brake along the stop that was checked before. So no planner, no
goal and no fault can lead over a limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.errors import counted
from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.robot import RobotConfig

Array = NDArray[np.float64]
TOLERANCE = 1e-7  # of positions [rad] and, scaled by the period, of their derivatives
ROUNDING = 1e-12  # rad
GOAL_MARGIN = 0.002  # goals stay this far from coupled limits, so that stops fit in between
NEAR_RAD = 0.02  # play, load and rounding bring a joint that stands at a limit as far beyond it
RECOVERY_RAD_S = 0.3  # speed of a joint that is still outside its limits
PROJECTIONS = 20
TINY = 1e-300  # keeps 0 / 0 at 0


@dataclass(frozen=True, slots=True)
class Brake:
    """The quickest jerk-limited stop from `start`; times are (J,), each joint's own."""

    start: JointTrajectoryState
    jerk: Array  # signed jerk of the first ramp
    first_s: Array  # end of the first ramp
    hold_s: Array  # end of the constant part
    end_s: Array  # standstill

    @property
    def duration_s(self) -> float:
        """Until the last joint stands."""
        return float(self.end_s.max(initial=0.0))

    @property
    def way(self) -> Array:
        """(J,) from the start to standstill."""
        v, a, j = self.start.velocity, self.start.acceleration, self.jerk
        first, hold, last = self.first_s, self.hold_s - self.first_s, self.end_s - self.hold_s
        pushed = a + first * j
        reached = v + first * (a + first * j / 2.0)
        way: Array = (
            first * (v + first * (a / 2.0 + first * j / 6.0))
            + hold * (reached + hold * pushed / 2.0)
            - last * last * last * j / 6.0  # backwards in time from standstill
        )
        return way

    def region(self) -> tuple[Array, Array]:
        """Return (high, low), each (J,): positions that the stop never leaves; never too small.

        A joint that brakes the other way first is given more than it takes: its speed then times
        the whole first ramp.
        """
        way, v = self.way, self.start.velocity
        wrong = np.abs(v) * self.first_s * (v * self.jerk > 0.0)
        start = self.start.position
        return start + np.maximum(way, 0.0) + wrong, start + np.minimum(way, 0.0) - wrong

    def at(self, time_s: NDArray[np.float64] | float) -> JointTrajectoryState:
        """Return the state at a time, or at (K, 1) times as (K, J) arrays."""
        t = np.asarray(time_s, np.float64)
        state = (self.start.position, self.start.velocity, self.start.acceleration)
        parts = (
            (self.jerk, np.clip(t, 0.0, self.first_s)),
            (np.zeros_like(self.jerk), np.clip(t, self.first_s, self.hold_s) - self.first_s),
            (-self.jerk, np.clip(t, self.hold_s, self.end_s) - self.hold_s),
        )
        for jerk, dt in parts:
            p, v, a = state
            state = (
                p + dt * (v + dt * (a / 2.0 + dt * jerk / 6.0)),
                v + dt * (a + dt * jerk / 2.0),
                a + dt * jerk,
            )
        standing = t >= self.end_s
        still = [np.where(standing, 0.0, part) for part in state[1:]]
        return JointTrajectoryState(state[0], still[0], still[1])


def plan_brake(start: JointTrajectoryState, max_acceleration: Array, max_jerk: Array) -> Brake:
    """Plan the stop of every joint, in closed form.

    A joint with speed v and acceleration a ramps the acceleration to -peak, holds it, and ramps
    back to 0, so that speed and acceleration reach 0 together. The sign of v + a|a|/2j says which
    way.

    Args:
        start: state to stop from.
        max_acceleration: (J,) [rad/s²].
        max_jerk: (J,) [rad/s³].
    """
    v, a = start.velocity, start.acceleration
    side = np.where(v + a * np.abs(a) / (2.0 * max_jerk) >= 0.0, 1.0, -1.0)
    v, a = side * v, side * a
    energy = np.maximum(0.0, v + a * a / (2.0 * max_jerk))  # speed left once a is ramped to 0
    peak = np.minimum(np.maximum(max_acceleration, -a), np.sqrt(max_jerk * energy))
    first = np.maximum(0.0, (a + peak) / max_jerk)
    # Without a peak there is no energy either, and nothing to hold.
    hold = energy / np.maximum(peak, TINY) - peak / max_jerk
    hold_end = first + np.maximum(0.0, hold)
    return Brake(start, -side * max_jerk, first, hold_end, hold_end + peak / max_jerk)


class SafetyLimiter:
    """Checks commands and limits motion of one robot.

    Attributes:
        state: what is commanded now.
        outside: (J,) bool, joints that still are on their way back into their limits.
        limp: (J,) bool, joints that nobody moves: they are where they are, and the others keep the
            limits alone.
        speed_scale: (J,) fraction of the velocity limit that a plan may use; small while outside.
        rejected_proposals: proposals replaced by a stop so far.
        rejected_commands: commands rejected so far.
    """

    def __init__(self, robot: RobotConfig, period_s: float) -> None:
        joints = robot.joints
        self._names = robot.names
        self._coupled_names = tuple(limit.name for limit in robot.coupled_limits)
        self._period_s = period_s
        self._low = np.array([j.limits_rad[0] for j in joints])
        self._high = np.array([j.limits_rad[1] for j in joints])
        self._neutral = robot.neutral_rad
        self._velocity = np.array([j.max_velocity_rad_s for j in joints])
        self._acceleration = np.array([j.max_acceleration_rad_s2 for j in joints])
        self._jerk = np.array([j.max_jerk_rad_s3 for j in joints])
        self._matrix = np.zeros((len(robot.coupled_limits), len(joints)))
        for row, limit in enumerate(robot.coupled_limits):
            for name, factor in limit.terms.items():
                self._matrix[row, self._names.index(name)] = factor
        self._bound = np.array([limit.maximum_rad for limit in robot.coupled_limits])
        self._goal_bound = np.maximum(self._bound - GOAL_MARGIN, self._matrix @ self._neutral)
        # Each row of sides @ position stays below its edge: limits of joints and coupled ones.
        single = np.eye(len(joints))
        self._sides = np.vstack([single, -single, self._matrix])
        self._edges = np.concatenate([self._high, -self._low, self._bound]) + TOLERANCE
        # The same for a region of positions, from its (high, low) corners (2J,).
        nothing = np.zeros_like(single)
        ends = (np.maximum(self._matrix, 0.0), np.minimum(self._matrix, 0.0))
        self._corners = np.block([[single, nothing], [nothing, -single], [*ends]])
        self._corner_edges = np.concatenate([self._high, -self._low, self._bound]) + TOLERANCE
        self._steps = _steps(period_s)
        self._step_bounds = self._bounds_of_steps(self._velocity)
        self._everywhere = np.zeros(len(joints), np.bool_), np.ones(len(joints))
        for shared in self._everywhere:
            shared.setflags(write=False)
        self.limp = np.zeros(len(joints), np.bool_)
        self._last_stamp_ns: int | None = None
        self.rejected_proposals = 0
        self.rejected_commands = 0
        self.reset(self._neutral)

    def reset(self, position_rad: Array) -> None:
        """Start at rest from a measured pose, which may lie outside the limits."""
        zero = np.zeros(len(self._names))
        self._before = [position_rad.astype(np.float64)] * 2
        self._become(JointTrajectoryState(self._before[0], zero, zero.copy()))
        self._brake: Brake | None = None
        self._brake_s = 0.0

    def reset_joints(self, indices: Sequence[int], position_rad: Array) -> None:
        """Start some joints again at rest from their measured angle, (J,); others go on."""
        old = self.state
        position, velocity = old.position.copy(), old.velocity.copy()
        acceleration = old.acceleration.copy()
        at = list(indices)
        self._before = [before.copy() for before in self._before]
        for angles in (*self._before, position):
            angles[at] = position_rad[at]
        velocity[at] = 0.0
        acceleration[at] = 0.0
        self._become(JointTrajectoryState(position, velocity, acceleration))
        self._brake = None

    def less_room(self, position_rad: Array) -> Array:
        """Return (J,): of the commanded position and another, what leaves other joints less room.

        Where coupled limits disagree about that, or there are none, the other one.
        """
        commanded = self.state.position
        up, down = (self._matrix > 0.0).any(axis=0), (self._matrix < 0.0).any(axis=0)
        room: Array = np.where(up & ~down, np.maximum(commanded, position_rad), position_rad)
        return np.where(down & ~up, np.minimum(commanded, position_rad), room)

    def beyond(self, position_rad: Array) -> dict[str, str]:
        """Return how far a measured pose (J,) stands outside, in words by joint or coupled limit.

        What is nearer than NEAR_RAD is left out.
        """
        above, below = position_rad - self._high, self._low - position_rad
        words = {
            name: f'{max(up, down):.2f} rad {"above" if up > down else "below"} its limits'
            for name, up, down in zip(self._names, above, below, strict=True)
            if max(up, down) > NEAR_RAD
        }
        excess = self._matrix @ position_rad - self._bound
        coupled = zip(self._coupled_names, excess, strict=True)
        return words | {f"'{n}'": f'{over:.2f} rad over' for n, over in coupled if over > NEAR_RAD}

    def set_limp(self, indices: Sequence[int]) -> bool:
        """Say which joints nobody moves; returns whether these are others than before."""
        limp = np.zeros(len(self._names), np.bool_)
        limp[list(indices)] = True
        changed = bool((limp != self.limp).any())
        if changed:
            self.limp = limp
            self._become(self.state)
        return changed

    def leaves_room(self, index: int, angle_rad: float) -> bool:
        """Whether the others stop within the limits that they share with a joint at an angle.

        Args:
            index: a joint that comes to rest there at once, wherever it is commanded now.
            angle_rad: inside its own limits or not.
        """
        old = self.state
        position, velocity = old.position.copy(), old.velocity.copy()
        acceleration = old.acceleration.copy()
        position[index], velocity[index], acceleration[index] = angle_rad, 0.0, 0.0
        beside = JointTrajectoryState(position, velocity, acceleration)
        return self._leads_inwards(plan_brake(beside, self._acceleration, self._jerk), position)

    def _become(self, state: JointTrajectoryState) -> None:
        """Take a state, and note which joints are on their way back into their limits."""
        self.state = state
        self.outside, self.speed_scale = self._everywhere
        over = self._sides @ state.position > self._edges
        self._inside = not over.any()
        if not self._inside:
            self.outside = np.any(self._sides[over] != 0.0, axis=0) & ~self.limp
            slow = np.minimum(1.0, RECOVERY_RAD_S / self._velocity)
            self.speed_scale = np.where(self.outside, slow, 1.0)

    def problem_of(self, position_rad: Array, stamp_ns: int) -> str:
        """Check a command and note its stamp; a rejected one changes nothing.

        Args:
            position_rad: (J,) goals.
            stamp_ns: must grow from command to command.

        Returns:
            Why it is rejected, in one sentence; '' when it is good.
        """
        reason = self.position_problem(position_rad)
        if not reason and self._last_stamp_ns is not None and stamp_ns <= self._last_stamp_ns:
            late = (self._last_stamp_ns - stamp_ns) * 1e-9
            reason = f'out of order: {late:.3f} s older than the command before it'
        if reason:
            self.rejected_commands += 1
        else:
            self._last_stamp_ns = stamp_ns
        return reason

    def forget_order(self) -> None:
        """Take the next command whatever its stamp."""
        self._last_stamp_ns = None

    def position_problem(self, position_rad: Array) -> str:
        """Return why a goal (J,) is rejected whenever it comes; '' when it is good."""
        if position_rad.shape != self._low.shape:
            given = counted(position_rad.size, 'position')
            return f'{given} for {counted(len(self._low), "joint")}'
        bad = [n for n, v in zip(self._names, position_rad, strict=True) if not np.isfinite(v)]
        if bad:
            return f'not a finite position for {", ".join(bad)}'
        beyond = (position_rad < self._low - 1e-6) | (position_rad > self._high + 1e-6)
        if beyond.any():
            index = int(np.argmax(beyond))
            return (
                f'{self._names[index]} = {position_rad[index]:.4g} rad is outside '
                f'[{self._low[index]:g}, {self._high[index]:g}]'
            )
        return ''

    def allowed_goal(self, position_rad: Array) -> Array:
        """Return the goal (J,) inside all limits that is near to a finite one.

        Limp joints stay; where others cannot keep a limit beside them, they do what they can.
        """
        goal: Array = np.minimum(np.maximum(position_rad, self._low), self._high)
        movable = self._matrix
        if self.limp.any():
            goal = np.where(self.limp, self.state.position, goal)
            movable = np.where(self.limp, 0.0, self._matrix)
        can = movable.any(axis=1)
        bound = self._goal_bound
        for _ in range(PROJECTIONS):
            over = np.where(can, self._matrix @ goal - bound, 0.0)
            if not (over > 0.0).any():
                return goal
            row = movable[int(np.argmax(over))]
            goal = goal - row * over.max() / (row @ row)
            goal = np.where(self.limp, goal, np.clip(goal, self._low, self._high))
        # Rarely: towards the neutral pose, which keeps every limit where no joint is limp.
        rest = self._matrix @ self._neutral
        way = self._matrix @ goal - rest
        fraction = min([1.0, *((bound - rest)[way > 0.0] / way[way > 0.0])])
        neutral: Array = self._neutral + fraction * (goal - self._neutral)
        return np.where(self.limp, goal, neutral)

    def escape_pose(self) -> Array:
        """Return the pose (J,) to take first where every plan from rest is rejected.

        Joints that stand at a coupled limit cannot move along it, as they do not stop in the same
        time: the pose is as far inside as goals are. Outside of one, joints wait that would lead
        further out while the others come in.
        """
        position = self.state.position
        way = self.allowed_goal(position) - position
        broken = self._matrix @ position > self._bound
        worse = (self._matrix[broken] * way > 0.0).any(axis=0)
        pose: Array = position + np.where(worse, 0.0, way)
        return pose

    def step(self, proposal: JointTrajectoryState | None) -> bool:
        """Advance one period: take the proposal, or brake without or in spite of it.

        Returns:
            Whether the proposal was taken; the new command is in `state`.
        """
        if proposal is not None and self.limp.any():
            proposal = self._without_limp(proposal)
        taken = proposal is not None and self._reachable(proposal) and self._keeps_speed(proposal)
        if taken and proposal is not None:
            brake = plan_brake(proposal, self._acceleration, self._jerk)
            taken = self._stays_inside(brake)
        if taken and proposal is not None:
            self._brake, self._brake_s, state = brake, 0.0, proposal
        else:
            self.rejected_proposals += proposal is not None
            if self._brake is None:
                self._brake = plan_brake(self.state, self._acceleration, self._jerk)
                self._brake_s = 0.0
            self._brake_s += self._period_s
            state = self._brake.at(self._brake_s)
        self._before = [self._before[1], self.state.position]
        self._become(state)
        return taken

    def _without_limp(self, proposal: JointTrajectoryState) -> JointTrajectoryState:
        """Return a proposal in which limp joints stay where they are."""
        old = self.state
        return JointTrajectoryState(
            np.where(self.limp, old.position, proposal.position),
            np.where(self.limp, 0.0, proposal.velocity),
            np.where(self.limp, 0.0, proposal.acceleration),
        )

    @property
    def at_rest(self) -> bool:
        """Nothing is commanded to move."""
        moving = np.abs(self.state.velocity) > TOLERANCE
        return not (moving.any() or (np.abs(self.state.acceleration) > TOLERANCE).any())

    def _reachable(self, new: JointTrajectoryState) -> bool:
        """Whether limits on derivatives allow the step from the present state to `new`."""
        old = self.state
        parts = (new.position, new.velocity, new.acceleration)
        states = np.array([*parts, old.position, old.velocity, old.acceleration, *self._before])
        if not np.isfinite(states).all():
            return False
        bounds = self._step_bounds
        if not self._inside:
            bounds = self._bounds_of_steps(self._velocity * self.speed_scale)
        return bool((np.abs(self._steps @ states) <= bounds).all())

    def _keeps_speed(self, new: JointTrajectoryState) -> bool:
        """Whether the stop from `new` stays below the speed limits.

        Ending an acceleration takes time, in which the speed goes on to v + a|a| / 2j.
        """
        a = new.acceleration
        reached = np.abs(new.velocity + a * np.abs(a) / (2.0 * self._jerk))
        return bool((reached <= self._velocity * self.speed_scale + TOLERANCE).all())

    def _bounds_of_steps(self, velocity: Array) -> Array:
        """Return (8, J) what each row of _steps() @ states may be at most."""
        dt, jerk, acceleration = self._period_s, self._jerk, self._acceleration
        return np.array(
            [
                velocity + TOLERANCE / dt,
                velocity * dt + TOLERANCE,
                acceleration + TOLERANCE / dt**2,
                acceleration * dt**2 + TOLERANCE,
                jerk * dt + TOLERANCE / dt**2,
                jerk * dt**2 / 2.0 + TOLERANCE / dt,
                jerk * dt**3 / 6.0 + TOLERANCE,
                jerk * dt**3 + TOLERANCE,
            ]
        )

    def _stays_inside(self, brake: Brake) -> bool:
        """Whether every commanded point of a stop is inside the limits.

        A start outside is allowed for, as long as the way beyond a limit never grows again.
        """
        if self._inside:  # cheap and enough for most: the region that the stop does not leave
            region = np.concatenate(brake.region())
            if (self._corners @ region <= self._corner_edges).all():
                return True
        return self._leads_inwards(brake, self.state.position)

    def _leads_inwards(self, brake: Brake, before: Array) -> bool:
        """Whether no point of a stop is further beyond a limit than the one before it.

        Args:
            brake: the stop.
            before: (J,) where the joints are commanded before it begins.
        """
        count = int(np.ceil(brake.duration_s / self._period_s)) + 1
        times: Array = self._period_s * np.arange(count, dtype=np.float64)[:, None]
        path = np.vstack([before, brake.at(times).position])
        coupled = path @ self._matrix.T
        return (
            _only_inwards(path, self._high)
            and _only_inwards(-path, -self._low)
            and _only_inwards(coupled, self._bound)
        )


def _steps(dt: float) -> Array:
    """Return (8, 8): what a step changes, from the states that _reachable() lists.

    Rows: velocity, its difference of positions, acceleration, its difference, change of
    acceleration, what velocity and position gain beyond the motion before, third difference.
    """
    return np.array(
        [
            [0, 1, 0, 0, 0, 0, 0, 0],
            [1, 0, 0, -1, 0, 0, 0, 0],
            [0, 0, 1, 0, 0, 0, 0, 0],
            [1, 0, 0, -2, 0, 0, 0, 1],
            [0, 0, 1, 0, 0, -1, 0, 0],
            [0, 1, 0, 0, -1, -dt, 0, 0],
            [1, 0, 0, -1, -dt, -dt * dt / 2.0, 0, 0],
            [1, 0, 0, -3, 0, 0, -1, 3],
        ],
        np.float64,
    )


def _only_inwards(path: Array, bound: Array) -> bool:
    """Whether no point of a path (K, N) beyond the bound is further out than the one before."""
    allowed = np.maximum(bound + TOLERANCE, path[:-1] + ROUNDING)
    return bool((path[1:] <= allowed).all())
