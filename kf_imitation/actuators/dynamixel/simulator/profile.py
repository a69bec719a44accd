"""The profile generator of a servo: from goals to a path of limited speed; pure.

Velocity-based and time-based profiles: e-manual of the X series, "What is the Profile".
"""

import math

STEP, RECTANGULAR, TRIANGULAR, TRAPEZOIDAL = 0, 1, 2, 3  # bits 4 and 5 of moving_status
ARRIVED_RAD = 1e-9


def timed(way_rad: float, total_s: float, ramp_s: float) -> tuple[float, float]:
    """Return (speed, acceleration) that cover a way in a time; 0 stands for no limit.

    Args:
        way_rad: to go, from rest to rest.
        total_s: for all of it; 0 makes a step.
        ramp_s: of it, for gaining speed; counts as half the total at most.
    """
    if total_s <= 0.0:
        return 0.0, 0.0
    ramp_s = min(ramp_s, total_s / 2.0)
    speed = abs(way_rad) / (total_s - ramp_s)
    return speed, speed / ramp_s if ramp_s > 0.0 else 0.0


class Profile:
    """Path of one servo.

    Attributes:
        position_rad, speed_rad_s: of the path now.
        goal_rad: of the last advance().
        shape: STEP, RECTANGULAR, TRIANGULAR or TRAPEZOIDAL.
    """

    def __init__(self, position_rad: float) -> None:
        self.settle(position_rad)

    def settle(self, position_rad: float) -> None:
        """Start from where the shaft is, at rest."""
        self.position_rad = self.goal_rad = position_rad
        self.speed_rad_s = 0.0
        self.shape = STEP
        self._limits = 0.0, 0.0

    @property
    def ongoing(self) -> bool:
        """Not at its goal yet."""
        return abs(self.goal_rad - self.position_rad) > ARRIVED_RAD

    def advance(
        self, goal_rad: float, first: float, second: float, by_time: bool, dt_s: float
    ) -> None:
        """Move on by one step towards a goal.

        Args:
            goal_rad: where to.
            first: top speed [rad/s], or total time [s] of a time-based profile; 0: none.
            second: acceleration [rad/s²], or the time of the ramp [s]; 0: none.
            by_time: time-based.
            dt_s: length of the step.
        """
        if not by_time:
            self._limits = first, second
        if goal_rad != self.goal_rad:
            way = goal_rad - self.position_rad
            if by_time:
                self._limits = timed(way, first, second)
            self.shape = _shape(way, *self._limits)
        self.goal_rad = goal_rad
        top, rate = self._limits
        way = goal_rad - self.position_rad
        if top == 0.0 or abs(way) < ARRIVED_RAD:
            self.position_rad, self.speed_rad_s = goal_rad, 0.0
            return
        wanted = top if rate == 0.0 else min(top, math.sqrt(2.0 * rate * abs(way)))
        self.ramp(wanted if way > 0.0 else -wanted, rate, dt_s)
        move = self.speed_rad_s * dt_s
        arrives = move * way > 0.0 and abs(move) >= abs(way)
        self.position_rad = goal_rad if arrives else self.position_rad + move

    def ramp(self, speed_rad_s: float, rate: float, dt_s: float) -> None:
        """Bring the speed nearer to a wanted one, by `rate` [rad/s²] at most; 0: at once."""
        change = speed_rad_s - self.speed_rad_s
        if rate:
            change = max(-rate * dt_s, min(rate * dt_s, change))
        self.speed_rad_s += change


def _shape(way_rad: float, top: float, rate: float) -> int:
    if top == 0.0:
        return STEP
    if rate == 0.0:
        return RECTANGULAR
    return TRAPEZOIDAL if top * top / rate < abs(way_rad) else TRIANGULAR
