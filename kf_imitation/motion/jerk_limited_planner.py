"""Time-optimal, jerk-limited motion to rest; stands in where ruckig's Python module is not.

ROS packages ruckig as a C++ library alone. This module offers, under ruckig's names, what
planner.py asks of it, for goals at rest only.

Every motion is made of stops (`Brake` in safety_limiter.py): a joint that goes on beyond the point
where it could stop takes a cruise speed u, which is a stop as seen by somebody who moves at u;
stays there; and stops.
Two cases need no cruise: u is so low that there is no time for it, or the joint brakes already,
and is let go on by braking less for a while (a ramp of the acceleration towards 0) before it
stops. Both ways grow with u and with the ramp, so that one number per joint is to be found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from kf_imitation.motion.joint_states import JointTrajectoryState
from kf_imitation.motion.safety_limiter import Brake, plan_brake

Array = NDArray[np.float64]
SAME = 1e-9  # s, rad: what rounding makes of 0
EXACT = 1e-10  # rad, where a search ends
SEARCH_STEPS = 80
BRANCH_STEPS = 8


class Synchronization(Enum):
    """How joints arrive: on one straight line, at the same time, each as early as it can."""

    Phase = 'phase'
    Time = 'time'
    No = 'no'


class Result(Enum):
    """What calculate() came to."""

    Working = 0
    Finished = 1


class RuckigError(Exception):
    """There is no such motion; never raised for goals at rest without synchronisation."""


class InputParameter:
    """One request; lists are one number per joint, in rad and s."""

    def __init__(self, degrees_of_freedom: int) -> None:
        self.degrees_of_freedom = degrees_of_freedom
        nothing = [0.0] * degrees_of_freedom
        self.current_position = self.current_velocity = self.current_acceleration = nothing
        self.target_position = self.target_velocity = self.target_acceleration = nothing
        self.max_velocity = self.max_acceleration = self.max_jerk = nothing
        self.synchronization = Synchronization.Time
        self.minimum_duration: float | None = None


class Trajectory:
    """Pieces of constant jerk; calculate() fills it.

    Attributes:
        duration: until the last joint has arrived [s].
    """

    def __init__(self, degrees_of_freedom: int) -> None:
        self.duration = 0.0
        self._goal = np.zeros(degrees_of_freedom)
        self._begins = np.zeros((1, degrees_of_freedom))  # (P, J) s
        self._states = np.zeros((4, 1, degrees_of_freedom))  # position to jerk at the begins
        self._end_s = np.zeros(degrees_of_freedom)

    def fill(
        self, start: JointTrajectoryState, goal: Array, lengths_s: Array, jerks: Array
    ) -> None:
        """Take the pieces of a motion.

        Args:
            start: state at time 0.
            goal: (J,) where it comes to rest, held from the last piece on.
            lengths_s: (P, J).
            jerks: (P, J) rad/s³.
        """
        ends = np.cumsum(lengths_s, axis=0)
        self._goal, self._begins, self._end_s = goal, ends - lengths_s, ends[-1]
        self.duration = float(self._end_s.max(initial=0.0))
        state = start
        states = []
        for length_s, jerk in zip(lengths_s, jerks, strict=True):
            states.append((state.position, state.velocity, state.acceleration, jerk))
            state = _after(state, length_s, jerk)
        self._states = np.array(states).transpose(1, 0, 2)

    def at_time(self, time_s: float) -> tuple[Array, Array, Array]:
        """Return position, velocity and acceleration, each (J,); at rest after the end."""
        piece = np.count_nonzero(self._begins <= time_s, axis=0) - 1
        joints = np.arange(len(self._goal))
        position, velocity, acceleration, jerk = self._states[:, piece, joints]
        begun = JointTrajectoryState(position, velocity, acceleration)
        state = _after(begun, time_s - self._begins[piece, joints], jerk)
        there = time_s >= self._end_s
        return (
            np.where(there, self._goal, state.position),
            np.where(there, 0.0, state.velocity),
            np.where(there, 0.0, state.acceleration),
        )


class Ruckig:
    """Plans for a number of joints."""

    def __init__(self, degrees_of_freedom: int) -> None:
        self.degrees_of_freedom = degrees_of_freedom

    def calculate(self, request: InputParameter, trajectory: Trajectory) -> Result:
        """Plan a motion to rest.

        Raises:
            RuckigError: the goal is not at rest, a limit or state is no number, or the joints
                cannot arrive together.
        """
        if any(request.target_velocity) or any(request.target_acceleration):
            raise RuckigError('only goals at rest can be planned for without ruckig')
        start = JointTrajectoryState(
            np.array(request.current_position, np.float64),
            np.array(request.current_velocity, np.float64),
            np.array(request.current_acceleration, np.float64),
        )
        goal = np.array(request.target_position, np.float64)
        limits = np.array(
            [request.max_velocity, request.max_acceleration, request.max_jerk], np.float64
        )
        numbers = (start.position, start.velocity, start.acceleration, goal, *limits)
        if not np.isfinite(numbers).all() or not (limits > 0.0).all():
            raise RuckigError('states must be finite and limits above 0')
        profiles = _Profiles(start, goal, limits)
        plan = profiles.fastest()
        if request.synchronization is not Synchronization.No or request.minimum_duration:
            end_s = max(plan.end_s.max(initial=0.0), request.minimum_duration or 0.0)
            straight = None
            if request.synchronization is Synchronization.Phase:
                straight = profiles.on_a_line(plan, end_s)
            plan = straight or profiles.arriving_together(plan, end_s)
        trajectory.fill(start, goal, plan.lengths_s, plan.jerks)
        return Result.Working


@dataclass(frozen=True, slots=True)
class _Plan:
    """Pieces of constant jerk of every joint.

    Attributes:
        lengths_s, jerks: (P, J).
        cruise: (J,) the u it was made with.
    """

    lengths_s: Array
    jerks: Array
    cruise: Array

    @property
    def end_s(self) -> Array:
        total: Array = self.lengths_s.sum(axis=0)
        return total


class _Profiles:
    """All motions of joints to their goals; mirrored, so that the goal lies beyond the stop."""

    def __init__(self, start: JointTrajectoryState, goal: Array, limits: Array) -> None:
        self._start = start
        self._velocity, self._acceleration, self._jerk = limits
        stop = plan_brake(start, self._acceleration, self._jerk).way
        offset = goal - start.position
        self._way = offset
        self._side = np.where(offset >= stop, 1.0, -1.0)
        self._far = self._side * offset
        self._still = np.abs(offset - stop) <= EXACT  # the stop itself leads there
        v, a = self._side * start.velocity, self._side * start.acceleration
        self._v, self._a = v, a
        # The speed that is left once the acceleration has been brought to 0.
        self._kept = np.clip(v + a * np.abs(a) / (2.0 * self._jerk), 0.0, None)
        self._over = self._kept > self._velocity
        self._none = np.zeros_like(v)

    def fastest(self) -> _Plan:
        """Return the motion of every joint that is over first."""
        low = np.where(self._over, 0.0, self._kept)
        at_low = self._distance(self._none, low)
        # Less far than with the acceleration at 0 in between: only brake less for a while.
        ramped = (self._a < 0.0) & (self._kept > 0.0) & (self._far < at_low) & ~self._over
        top = np.where(ramped, np.maximum(-self._a, 0.0) / self._jerk, self._velocity)

        def beyond(x: Array) -> Array:
            ramp, cruise = np.where(ramped, x, 0.0), np.where(ramped, 0.0, x)
            return self._distance(ramp, cruise) - self._far

        x = _crossing(beyond, np.where(ramped, 0.0, low), top)
        return self._plan(np.where(ramped, x, 0.0), np.where(ramped, 0.0, x))

    def arriving_together(self, fastest: _Plan, end_s: float) -> _Plan:
        """Return motions that all end at the same time, `end_s` or later; slower cruise speeds.

        Between its quickest motion and one that nearly stops on the way, a joint that moves
        already has times at which it cannot be there: then all arrive later.
        """
        branch = np.linspace(0.0, 1.0, BRANCH_STEPS + 1)[1:, None] * self._kept
        too_far = self._distance(self._none, branch) > self._far + EXACT
        blocked = too_far.any(axis=0) & ~self._still
        slow = slow_s = self._none
        if blocked.any():
            first = np.take_along_axis(branch, too_far.argmax(axis=0)[None], axis=0)[0]
            first = np.where(blocked, first, 0.0)
            slow = _crossing(lambda u: self._distance(self._none, u) - self._far, slow, first)
            slow_s = np.where(blocked, self._plan(self._none, slow).end_s, 0.0)
        on_the_way = self._plan(self._none, self._kept).end_s  # the least cruise that is quick
        ramped = fastest.cruise < self._kept
        quick_s = np.where(ramped | self._over, fastest.end_s, on_the_way)
        for _ in range(len(self._v)):
            waiting = blocked & (quick_s + SAME < end_s) & (end_s < slow_s)
            if not waiting.any():
                break
            end_s = float(slow_s[waiting].max())
        slower = blocked & (end_s >= slow_s)
        low = np.where(blocked & ~slower, self._kept, 0.0)
        high = np.where(slower, slow, fastest.cruise)

        def late(u: Array) -> Array:
            stops = self._stops(self._none, u)
            spare_s = end_s - stops.end_s.sum(axis=0)
            left = self._far - u * stops.end_s[0] - stops.way.sum(axis=0)
            return np.asarray(spare_s * u - left)

        cruise = _crossing(late, low, high)
        plan = self._plan(self._none, cruise)
        keep = (np.abs(fastest.end_s - end_s) <= SAME) | self._still
        lengths = np.where(keep, fastest.lengths_s, plan.lengths_s)
        jerks = np.where(keep, fastest.jerks, plan.jerks)
        together = _Plan(lengths, jerks, np.where(keep, fastest.cruise, cruise))
        if (np.abs(together.end_s - end_s) > 1e-3)[~self._still].any():
            raise RuckigError(f'the joints cannot arrive together at {end_s:.3f} s')
        return together

    def on_a_line(self, fastest: _Plan, end_s: float) -> _Plan | None:
        """Return the motion of the joint that needs longest, scaled for all; None if none can.

        It exists where position, velocity and acceleration point along the same line, and no
        joint exceeds its limits on it.
        """
        lead = int(np.argmax(fastest.end_s))
        if self._way[lead] == 0.0 or end_s > fastest.end_s[lead] + SAME:
            return None
        share = self._way / self._way[lead]
        start = self._start
        for rate in (start.velocity, start.acceleration):
            if (np.abs(rate - share * rate[lead]) > SAME).any():
                return None
        lengths = np.repeat(fastest.lengths_s[:, lead : lead + 1], len(share), axis=1)
        jerks = fastest.jerks[:, lead : lead + 1] * share
        state, peaks = start, []
        for length_s, jerk in zip(lengths, jerks, strict=True):
            state = _after(state, length_s, jerk)
            peaks.append((np.abs(state.velocity), np.abs(state.acceleration), np.abs(jerk)))
        limits = np.array([self._velocity, self._acceleration, self._jerk])
        if (np.max(peaks, axis=0) > limits * (1.0 + SAME) + SAME).any():
            return None
        return _Plan(lengths, jerks, share * fastest.cruise[lead])

    def _stops(self, ramp: Array, cruise: Array) -> Brake:
        """Return the way from the ramp's end to the cruise speed, as seen from there, and on.

        Both are stops; they are planned in one go, as (2, …, J).
        """
        v = self._v + ramp * (self._a + ramp * self._jerk / 2.0)
        speed = np.array([v - cruise, cruise])
        acceleration = np.zeros_like(speed)
        acceleration[0] = self._a + ramp * self._jerk
        begin = JointTrajectoryState(np.zeros_like(speed), speed, acceleration)
        return plan_brake(begin, self._acceleration, self._jerk)

    def _distance(self, ramp: Array, cruise: Array) -> Array:
        """Return how far (…, J) a motion leads without time spent at the cruise speed."""
        stops = self._stops(ramp, cruise)
        ramped = ramp * (self._v + ramp * (self._a / 2.0 + ramp * self._jerk / 6.0))
        distance: Array = ramped + cruise * stops.end_s[0] + stops.way.sum(axis=0)
        return distance

    def _plan(self, ramp: Array, cruise: Array) -> _Plan:
        stops = self._stops(ramp, cruise)
        left = self._far - self._distance(ramp, cruise)
        at_cruise = np.where(cruise > EXACT, left / np.maximum(cruise, EXACT), 0.0)
        (first, last), nothing = stops.jerk, self._none
        hold, end = stops.hold_s - stops.first_s, stops.end_s - stops.hold_s
        lengths = [
            *(ramp, stops.first_s[0], hold[0], end[0]),
            *(np.maximum(0.0, at_cruise), stops.first_s[1], hold[1], end[1]),
        ]
        jerks = [self._jerk, first, nothing, -first, nothing, last, nothing, -last]
        return _Plan(np.array(lengths), self._side * np.array(jerks), cruise)


def _crossing(function: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Return where functions (J,) that grow from low to high cross 0, from below; an end if not.

    All joints at once, by Chandrupatla's method (1997): inverse quadratic interpolation where
    three points allow it, else bisection.
    """
    a, b = low, high
    at_a, at_b = function(a), function(b)
    result = np.where(at_b <= 0.0, b, a)
    open_ = (at_a < 0.0) & (at_b > 0.0)
    step = np.full_like(a, 0.5)
    for _ in range(SEARCH_STEPS):
        if not open_.any():
            break
        x = np.where(open_, a + step * (b - a), a)
        value = function(x)
        same = (value < 0.0) == (at_a < 0.0)
        # c is the point that falls out of the bracket [a, b].
        c, at_c = np.where(same, a, b), np.where(same, at_a, at_b)
        b, at_b = np.where(same, b, a), np.where(same, at_b, at_a)
        a, at_a = x, value
        found = open_ & ((np.abs(value) < EXACT) | (np.abs(b - a) < EXACT * np.abs(b)))
        result = np.where(found, x, result)
        open_ &= ~found
        with np.errstate(divide='ignore', invalid='ignore'):
            xi, phi = (a - b) / (c - b), (at_a - at_b) / (at_c - at_b)
            fits = (phi * phi < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
            curved = at_a / (at_b - at_a) * at_c / (at_b - at_c) + (c - a) / (b - a) * at_a / (
                at_c - at_a
            ) * at_b / (at_c - at_b)
        step = np.where(fits & np.isfinite(curved), np.clip(curved, 0.001, 0.999), 0.5)
    return np.where(open_, a, result)


def _after(state: JointTrajectoryState, time_s: Array, jerk: Array) -> JointTrajectoryState:
    p, v, a, t = state.position, state.velocity, state.acceleration, time_s
    return JointTrajectoryState(
        p + t * (v + t * (a / 2.0 + t * jerk / 6.0)), v + t * (a + t * jerk / 2.0), a + t * jerk
    )
