"""Deliberate breaks of our own code, each of which the judge must catch.

An edit is a text that stands in the package as often as it says, wherever; so renaming files
leaves it alone, and a changed line makes `python -m benchmark.mutants --check` fail.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """One replacement in kf_imitation.

    Attributes:
        old: exact text.
        new: what stands there instead.
        count: how often `old` is there.
    """

    old: str
    new: str
    count: int = 1


@dataclass(frozen=True)
class Mutant:
    """One break.

    Attributes:
        name: for people.
        edits: all of them at once.
        rows: situations of judged_rows that are tried, in this order; the first that shows it
            is enough.
    """

    name: str
    edits: tuple[Edit, ...]
    rows: tuple[str, ...]


BOLD = 'a new pose every 80 ms, many at the limits'
NONSENSE = 'a planner that proposes nonsense'
BEYOND = 'a planner that aims beyond the limits'
CALM = 'a pose now and then'
ELSEWHERE = 'starts away from neutral'
OUTSIDE = 'starts outside its limits'
STOPPED = 'stopped in mid-motion, off and on again'
HELD = 'stopped and held in mid-motion'
RESET_SOON = 'reset while a held stop still brakes'
LEFT_SOON = 'left while a reset waits, held'
UNPLUGGED = 'stopped while unplugged'
PUSHED = 'pushed away while held by a stop'
BACK = 'servo back as the head is left'
BY_HAND = 'moved by hand while stopped, then reset'
ASLEEP = 'host asleep for 0.4 s in mid-motion'
GAP = 'replies lost for 70 ms in mid-motion'
RESTARTED = 'moved by hand while its servo restarts'
LOST = 'bus lost, joints moved by hand meanwhile'
SILENT = 'silent sender'
LEAVING = 'switched off in mid-motion, to neutral first'
STAYING = 'switched off, held'
ON_THE_WAY = 'switched off in mid-motion, held'
TWO_BUSES = 'one of two buses lost in mid-motion'
WARM = 'a joint at 62 °C'
STUCK = 'jaw stuck on its way'
PROFILE = 'a slow profile left by another program'
DRIVE_MODE = 'drive_mode left by another program'
MODE = 'operating_mode left by another program'
STRIPPED = 'gear stripped in mid-motion'
ANOTHER_MODE = 'operating mode changed by another program'
MISTAKE = 'a mistake in a cycle, in mid-motion'
TORQUELESS = 'torque lost by itself'


def _times(factor: float, limit: str) -> tuple[Edit, ...]:
    """Let planner and limiter believe in a multiple of a limit."""
    rate = limit.split('_')[1]
    begin, values = f'self._{rate} = ', f'np.array([j.{limit} for j in joints])'
    count = {'velocity': 2, 'acceleration': 3, 'jerk': 4}[rate]
    return (Edit(begin + values, f'{begin}{factor:g} * {values}', count),)


NEVER_LATE = Edit(
    'late = self._now_s - self._fresh_s > max(GRACE_S, 2.0 * self._period_s)', 'late = False'
)
MUTANTS = (
    Mutant(
        'limiter takes every proposal',
        (
            Edit(' and self._reachable(proposal) and self._keeps_speed(proposal)', ''),
            Edit('taken = self._stays_inside(brake)', 'taken = True'),
        ),
        (NONSENSE, BOLD),
    ),
    Mutant(
        'limiter does not look where a stop would end',
        (Edit('taken = self._stays_inside(brake)', 'taken = True'),),
        (BEYOND, BOLD),
    ),
    Mutant('speed limit times ten', _times(10, 'max_velocity_rad_s'), (CALM, BOLD)),
    Mutant('acceleration limit times ten', _times(10, 'max_acceleration_rad_s2'), (CALM, BOLD)),
    Mutant('jerk limit times ten', _times(10, 'max_jerk_rad_s3'), (CALM, BOLD)),
    Mutant('speed limit a third higher', _times(1.33, 'max_velocity_rad_s'), (CALM, BOLD)),
    Mutant(
        'coupled limits ignored',
        (Edit('self._matrix[row, self._names.index(name)] = factor', 'pass'),),
        (BOLD, CALM),
    ),
    Mutant(
        'direction of joints ignored',
        (
            Edit(
                'self._tick_rad = direction * units.RAD_PER_TICK',
                'self._tick_rad = np.abs(direction) * units.RAD_PER_TICK',
            ),
        ),
        (CALM, BOLD),
    ),
    Mutant(
        'watchdog never armed',
        (
            Edit(
                'wanted = units.watchdog_raw(self.robot.watchdog_s) '
                'if self.robot.watchdog_s else 0',
                'wanted = 0',
            ),
        ),
        (CALM,),
    ),
    Mutant(
        'stall guard off',
        (
            Edit(
                '(np.abs(error) > least_rad) & (used >= least_force)',
                'np.zeros(used.shape, np.bool_) & (used >= least_force)',
            ),
        ),
        (STUCK,),
    ),
    Mutant(
        'stalled joint keeps its goal',
        (
            Edit(
                'goal = np.where(self.stalls.resting, self.stalls.held_rad, goal)',
                'goal = np.where(False, self.stalls.held_rad, goal)',
            ),
        ),
        (STUCK,),
    ),
    Mutant(
        'torque goes on with the goal of before',
        (
            Edit(
                "try:\n                self.write_register(index, 'goal_position', present)",
                'try:\n                pass',
            ),
            Edit("if self.read_register(index, 'goal_position') != present:", 'if False:'),
        ),
        (BY_HAND, ELSEWHERE),
    ),
    Mutant(
        'goal taken from the goal register',
        (
            Edit(
                "present = self.read_register(index, 'present_position')\n            try:",
                "present = self.read_register(index, 'goal_position')\n            try:",
            ),
        ),
        (BY_HAND, ELSEWHERE),
    ),
    Mutant(
        'stop not latched',
        (
            Edit(
                'if stop:\n            self.state, self.latched = STOPPED, True',
                'if stop:\n            self.state, self.latched = STOPPED, False',
            ),
        ),
        (STOPPED,),
    ),
    Mutant(
        'stop leaves torque on',
        (
            Edit(
                'if stop:\n            self.state, self.latched = STOPPED, True\n'
                '            self._await_stop()',
                'if stop:\n            self.state, self.latched = STOPPED, True\n'
                '            self._unconfirmed = []',
            ),
        ),
        (STOPPED,),
    ),
    Mutant(
        'a mistake in a cycle is not a stop',
        (
            Edit(
                'self.state = STOPPED\n            if self.on_fault is not None:',
                'if self.on_fault is not None:',
            ),
        ),
        (MISTAKE,),
    ),
    Mutant(
        'held stop goes on to its goal',
        (
            Edit(
                'if self.state == STOPPED or self._braking:\n            motion.watch_stalls',
                'if self._braking:\n            motion.watch_stalls',
            ),
        ),
        (HELD,),
    ),
    Mutant(
        'reset does not wait for a held stop to stand',
        (Edit('return held and not self.motion.limiter.at_rest', 'return False'),),
        (RESET_SOON,),
    ),
    Mutant(
        'no stall guard while a stop holds',
        (Edit('motion.watch_stalls(self._now_s, self.present)', 'pass'),),
        (PUSHED,),
    ),
    Mutant(
        'plans of before a servo came back go on',
        (Edit('self._asked = None  # what the others may do depends on it', 'pass'),),
        (BACK,),
    ),
    Mutant(
        'current limit not written',
        (
            Edit(
                "self.write_register(index, 'goal_current', goal_current_raw(joint, fraction))",
                'pass',
            ),
        ),
        (CALM,),
    ),
    Mutant(
        'current limit times ten',
        (
            Edit(
                'units.current_raw(fraction * joint.max_current_a, joint.servo))',
                'units.current_raw(min(1.4, 10 * fraction * joint.max_current_a), joint.servo))',
            ),
        ),
        (CALM,),
    ),
    Mutant(
        'full current outside the limits',
        (Edit('RECOVERY_CURRENT = 0.35', 'RECOVERY_CURRENT = 1.0'),),
        (OUTSIDE,),
    ),
    Mutant(
        'full speed outside the limits',
        (Edit('RECOVERY_RAD_S = 0.3', 'RECOVERY_RAD_S = 30.0'),),
        (OUTSIDE,),
    ),
    Mutant(
        'no new plan after a gap',
        (NEVER_LATE,),
        (GAP,),
    ),
    Mutant(
        'a gap of the host goes unnoticed',
        (Edit('if not late_s or self.state == OFF:', 'if True:'), NEVER_LATE),
        (ASLEEP,),
    ),
    Mutant(
        'goals go on without answers',
        (
            Edit('if (self._missing or late) and monitor.active:', 'if False:'),
            Edit('PROBE_S = 0.1', 'PROBE_S = 1.0'),
        ),
        (GAP,),
    ),
    Mutant(
        'motion begins in neutral wherever the joints are',
        (
            Edit(
                'self.motion.begin(whereabouts)',
                'self.motion.begin(np.zeros(len(self.robot.joints)))',
            ),
        ),
        (ELSEWHERE, BY_HAND),
    ),
    Mutant(
        'a bus that comes back finds the old command',
        (
            Edit(
                'self.motion.begin(whereabouts)',
                'self._outages or self.motion.begin(whereabouts)',
            ),
        ),
        (LOST,),
    ),
    Mutant(
        'joints out of service still get goals',
        (
            Edit(
                'write_goals(self._unsent, self.motion',
                'write_goals(range(len(self.robot.joints)), self.motion',
            ),
        ),
        (TWO_BUSES, TORQUELESS),
    ),
    Mutant(
        'joints are taken in without measuring them',
        (Edit('self._measure(index, present)', 'pass'),),
        (BY_HAND, LOST),
    ),
    Mutant(
        'joints are taken in whatever moves beside them',
        (Edit('self._put_down(index, WAITS)\n                return False\n', 'pass\n'),),
        (RESTARTED,),
    ),
    Mutant(
        'reset goes on to the pose of before',
        (
            Edit(
                'self._mailbox.relax()\n        self._void()',
                'pass\n        self._void()',
            ),
        ),
        (BY_HAND,),
    ),
    Mutant(
        'hold_s ignored',
        (Edit('now_s - self.heard_s > self.hold_s', 'False'),),
        (SILENT,),
    ),
    Mutant(
        'heat ignored',
        (Edit('if not (temperature_c > limits.derate_above_c).any():', 'if True:'),),
        (WARM,),
    ),
    Mutant(
        'exit leaves torque on',
        (Edit('elif left := self.servos.torque_off():', 'elif left := []:'),),
        (CALM,),
    ),
    Mutant(
        'exit does not go to neutral',
        (Edit("self.abandoned or self.exit_policy == 'neutral_limp'", 'False'),),
        (LEAVING,),
    ),
    Mutant(
        'exit holds in mid-motion',
        (Edit('                self._come_to_rest()\n', '                pass\n'),),
        (ON_THE_WAY,),
    ),
    Mutant(
        'exit lets a held head go',
        (Edit("hold = self.exit_policy == 'hold' and self.state == RUNNING", 'hold = False'),),
        (STAYING,),
    ),
    Mutant(
        'a reset that waits is forgotten as the head is left',
        (Edit('if self._mailbox.reset:\n', 'if False:\n'),),
        (LEFT_SOON,),
    ),
    Mutant(
        'a stop waits for a lost bus before it tries again',
        (
            Edit(
                'if self._unconfirmed:  # torque_off() has paused between its tries',
                'if self._unconfirmed and int(self._now_s / 0.2) % 2:',
            ),
        ),
        (UNPLUGGED,),
    ),
    Mutant(
        'what another program left is not rejected',
        (
            Edit(
                '        if errors:\n            raise ServoSetupError(',
                '        if False:\n            raise ServoSetupError(',
            ),
        ),
        (DRIVE_MODE, MODE),
    ),
    Mutant(
        'profile left as found',
        (Edit('self.write_register(index, name, 0)', 'pass'),),
        (PROFILE,),
    ),
    Mutant(
        'lost torque overlooked',
        (
            Edit('if not found.torque:', 'if False:'),
            Edit('self._take_out(deviation)', 'pass'),
        ),
        (TORQUELESS,),
    ),
    Mutant(
        'supervision of motion off',
        (Edit('self._take_out(deviation)', 'pass'),),
        (STRIPPED,),
    ),
    Mutant(
        'supervision off, of motion and of registers',
        (
            Edit('self._take_out(deviation)', 'pass'),
            Edit(
                'def _judge(self, index: int, found: Finding) -> None:\n',
                'def _judge(self, index: int, found: Finding) -> None:\n        return\n',
            ),
        ),
        (ANOTHER_MODE, TORQUELESS),
    ),
)
