"""Does each joint do what it was told? Measured position against a model of the servo's motion.

A servo that is well is somewhere between the command and a follower that is as slow as a loaded
servo may be: a dead time, a position loop that is proportional only, a speed below its no-load
speed. What it is loaded with shows in its current, which lets it stay back on the side that it
pushes towards; one that pushes at its current limit is the stall guard's business. Outside of that
band for some cycles, or further in one cycle than any motor turns, it does not follow. Pure.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.actuators.dynamixel.control_tables import PWM_FULL, ServoModel
from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK
from kf_imitation.motion.joint_states import JointMeasurement
from kf_imitation.robot import JointConfig, RobotConfig

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
DEAD_S = 0.02  # from a goal on the wire to a measurement that shows it
LEAST_OF_SPEED = 0.9  # of its speed, where the robot file asks for as much
SLOWEST = 0.6  # of the no-load speed: sagging supply, load, heat
TOLERANCE_RAD = 0.05  # backlash, friction, rounding
COMPLIANCE = 1.3  # how much of the error that a load explains is believed
SATURATED = 0.65  # of the current limit: it pushes as hard as it may
TOO_STRONG = 1.3  # of the current limit: it pushes harder than it may
PATIENCE = 4  # cycles outside in a row
FASTEST = 1.5  # of the no-load speed: what measures more has jumped
JUMP_RAD = 0.06
GAP_S = 0.05  # after a longer pause the model begins anew
SMOOTH = 0.3  # weight of the newest speed
SLOW_RAD_S = 0.05  # below it a joint stands


@dataclass(frozen=True, slots=True)
class ServoMotion:
    """How one servo moves.

    Attributes:
        delay_s: from a goal to the first movement.
        lag_s: time constant of its position loop, speed by error.
        speed_rad_s: without load.
        slow_rad_s: what it does at least where it is asked for as much.
        yield_rad_a: how far it stays back per A that it pushes with.
        stall_current_a: at standstill and full power.
    """

    delay_s: float
    lag_s: float
    speed_rad_s: float
    slow_rad_s: float
    yield_rad_a: float
    stall_current_a: float

    @classmethod
    def of(cls, joint: JointConfig) -> 'ServoMotion':
        """Return what the control table says, and `servo selftest` where it measured."""
        servo, measured = joint.servo, joint.measured
        full, top = full_error_rad(servo), servo.no_load_speed_rad_s
        lag = full / top
        if measured.delay_s is not None and measured.delay_s > DEAD_S + lag:
            lag = measured.delay_s - DEAD_S
        slow = max(SLOWEST * top, min(joint.max_velocity_rad_s, LEAST_OF_SPEED * top))
        if measured.speed_rad_s is not None:
            slow = min(slow, LEAST_OF_SPEED * measured.speed_rad_s)
        yields = full / servo.stall_current_a
        if measured.yield_rad_a is not None:
            yields = max(yields, measured.yield_rad_a)
        return cls(DEAD_S, lag, top, slow, yields, servo.stall_current_a)


def full_error_rad(servo: ServoModel) -> float:
    """Return the error at which position_p_gain asks for all of the PWM (K_P = P / 128)."""
    gain = servo.initial('position_p_gain') / 128.0
    return PWM_FULL / gain * RAD_PER_TICK


@dataclass(frozen=True, slots=True)
class Deviation:
    """A joint that does not follow.

    Attributes:
        joint: index.
        commanded_rad, measured_rad: now.
        cause: what it probably is.
        holds: it comes nearer, only too slowly: it may hold where it is.
    """

    joint: int
    commanded_rad: float
    measured_rad: float
    cause: str
    holds: bool = False

    @property
    def sentence(self) -> str:
        """What a person is told."""
        return (
            f'does not follow: told {self.commanded_rad:+.2f} rad, is at '
            f'{self.measured_rad:+.2f} ({self.cause})'
        )


class FollowingMonitor:
    """Watches all joints of a head.

    Attributes:
        suspects: (J,) bool, outside of their band since one cycle or more.
    """

    def __init__(self, robot: RobotConfig) -> None:
        motions = [ServoMotion.of(joint) for joint in robot.joints]
        self._lag_s = np.array([m.lag_s for m in motions])
        self._yield_rad_a = np.array([m.yield_rad_a for m in motions])
        self._stall_a = np.array([m.stall_current_a for m in motions])
        self._top_rad_s = np.array([m.speed_rad_s for m in motions])
        self._slow_rad_s = np.array([m.slow_rad_s for m in motions])
        self._told_rad_s = np.array([j.max_velocity_rad_s for j in robot.joints])
        self._limited = np.array(['goal_current' in j.servo.registers for j in robot.joints])
        self._delay_s = max(m.delay_s for m in motions)
        self._window_s = float(self._delay_s + self._lag_s.max())
        size = len(motions)
        self.suspects: Flags = np.zeros(size, np.bool_)
        self._outside = np.zeros(size, np.intp)
        self._strong = np.zeros(size, np.intp)
        self._commands: deque[tuple[float, Array]] = deque()
        self._slow = np.zeros(size)
        self._last_s: float | None = None
        self._last_rad = np.zeros(size)
        self._speed_rad_s = np.zeros(size)

    def forget(self) -> None:
        """Begin anew with the next update."""
        self._last_s = None

    def update(
        self,
        now_s: float,
        commanded_rad: Array,
        present: JointMeasurement,
        current_limit_a: Array,
        watched: Sequence[int],
    ) -> list[Deviation]:
        """Take what was commanded and measured in one cycle.

        Args:
            now_s: controller time.
            commanded_rad: (J,).
            present: measured after it.
            current_limit_a: (J,), as the servos have it now.
            watched: joints that are commanded; the others begin anew when they are.

        Returns:
            The joints that do not follow, each told of once.
        """
        measured = present.position_rad
        if self._last_s is None or not 0.0 < now_s - self._last_s <= GAP_S:
            self._restart(now_s, commanded_rad, measured)
            return []
        dt_s = now_s - self._last_s
        fresh = np.ones(len(measured), np.bool_)
        fresh[list(watched)] = False
        fresh |= (
            np.abs(commanded_rad - self._commands[-1][1]) > self._told_rad_s * dt_s * 1.5 + 0.01
        )
        jumped = np.abs(measured - self._last_rad) > FASTEST * self._top_rad_s * dt_s + JUMP_RAD
        self._advance(now_s, dt_s, commanded_rad)
        low, high = self._band(fresh, commanded_rad, present)
        pushes = np.sign(commanded_rad - measured) * present.current_a
        saturated = self._limited & (pushes >= SATURATED * current_limit_a)
        outside = ((measured < low) | (measured > high)) & ~saturated
        strong = self._limited & (np.abs(present.current_a) > TOO_STRONG * current_limit_a)
        self._slow = np.where(saturated | fresh, measured, self._slow)
        self._outside = np.where(outside & ~fresh, self._outside + 1, 0)
        self._strong = np.where(strong & ~fresh, self._strong + 1, 0)
        self.suspects = (self._outside > 0) | (self._strong > 0) | (jumped & ~fresh)
        found = (jumped & ~fresh) | (self._outside >= PATIENCE) | (self._strong >= PATIENCE)
        deviations = [
            self._describe(i, commanded_rad, present, bool(jumped[i]), bool(self._strong[i]))
            for i in np.flatnonzero(found).tolist()
        ]
        self._outside[found] = self._strong[found] = 0
        self._speed_rad_s += SMOOTH * ((measured - self._last_rad) / dt_s - self._speed_rad_s)
        self._last_s, self._last_rad = now_s, measured.copy()
        return deviations

    def _restart(self, now_s: float, commanded_rad: Array, measured_rad: Array) -> None:
        self._commands.clear()
        self._commands.append((now_s, commanded_rad.copy()))
        self._slow = measured_rad.copy()
        self._outside[:] = self._strong[:] = 0
        self.suspects[:] = False
        self._speed_rad_s[:] = 0.0
        self._last_s, self._last_rad = now_s, measured_rad.copy()

    def _advance(self, now_s: float, dt_s: float, commanded_rad: Array) -> None:
        """Let the slow follower live for one cycle."""
        self._commands.append((now_s, commanded_rad.copy()))
        while len(self._commands) > 2 and now_s - self._commands[1][0] > self._window_s:
            self._commands.popleft()
        goal = self._commands[0][1]
        for sent_s, command in self._commands:
            if now_s - sent_s < self._delay_s:
                break
            goal = command
        wanted = (goal - self._slow) / np.maximum(self._lag_s, dt_s)
        self._slow = self._slow + dt_s * np.clip(wanted, -self._slow_rad_s, self._slow_rad_s)

    def _band(
        self, fresh: Flags, commanded_rad: Array, present: JointMeasurement
    ) -> tuple[Array, Array]:
        """Return where a joint that is well may be, lowest and highest, each (J,)."""
        for _, command in self._commands:  # a joint that begins anew has no past
            command[fresh] = commanded_rad[fresh]
        past = np.array([command for _, command in self._commands])
        load_rad = COMPLIANCE * self._yield_rad_a * present.current_a
        low = np.minimum(past.min(axis=0), self._slow) - np.maximum(load_rad, 0.0)
        high = np.maximum(past.max(axis=0), self._slow) - np.minimum(load_rad, 0.0)
        return low - TOLERANCE_RAD, high + TOLERANCE_RAD

    def _describe(
        self,
        joint: int,
        commanded_rad: Array,
        present: JointMeasurement,
        jumped: bool,
        strong: bool,
    ) -> Deviation:
        commanded, at = float(commanded_rad[joint]), float(present.position_rad[joint])
        speed, current = float(self._speed_rad_s[joint]), float(present.current_a[joint])
        nearer = speed * (commanded - at) > 0.0 and abs(speed) > SLOW_RAD_S
        holds = False
        if jumped:
            cause = 'the encoder jumped, or its offset was changed'
        elif strong:
            cause = f'it pushes with {abs(current):.2f} A, more than its limit'
        elif nearer:
            cause = 'slower than this servo is: gains, profile, supply, heat or a worn gear'
            holds = True
        elif abs(speed) > SLOW_RAD_S:
            cause = 'it moves away: the goals of another program, or another mode'
        elif abs(current) < 0.1 * self._stall_a[joint]:
            cause = 'it does not even push: a stripped gear, or torque that is off'
        else:
            cause = 'it stands still: something holds it, or another program moves it'
        return Deviation(joint, commanded, at, cause, holds)
