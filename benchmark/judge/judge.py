"""Verdicts on one head, from what passes its wire and what it was told."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from benchmark.judge import registers as reg
from benchmark.judge.head_file import Head, Joint
from benchmark.judge.motion import Array, MotionLimits
from benchmark.judge.wire import Heard

# The promises that the robot file does not write down (docs/safety.md).
GRACE_S = 0.05  # after a longer silence motion starts again at rest from what was measured
HAND_OVER_RAD = 0.0087  # half a degree: first goal against measured position
TAKEN_OVER_S = 1.0  # after a reset what was held is taken over where it is
RECENT_S = 0.6  # a measurement older than this is not known any more; a setup takes as long
BLIND_GOALS = 2  # goals in a row without an answer of the servo
CREEP_RAD_S = 0.3  # outside its limits
CREEP_CURRENT = 0.36  # share of the current limit there
STOP_S = 0.15  # until torque is off, or goals brake
BRAKE_S = 0.3  # until goals stand still where `stop: hold`
WAY_S = 2.5  # to neutral, once nobody asks for another pose
NEUTRAL_RAD = 0.03
HEAT_S = 2.5  # from reading a temperature to a smaller goal
PUSH_SHARE = 0.7  # of the current limit: from here on a joint that stands still is pushed
PUSH_WAY_RAD = 0.02
PUSH_S = 0.6  # at most without a pause
PUSH_IN_ALL_S = 6.0  # in any minute
REMEMBERED_S = 60.0  # a joint that pushed may still stand where it did
LAG_S = 0.3  # a joint is somewhere between the goals of this time …
LAG_RAD = 0.15  # … or at most this far from them
ASTRAY_S = 0.6  # or it is left alone after this time …
GENTLE_SHARE = 0.65  # … or may use no more than this share of its current limit
RESTART_S = 3.0  # from a servo's restart until it holds again
LOST_S = 0.3  # from reading that torque is off or the watchdog tripped to the last goal


@dataclass(frozen=True)
class Verdict:
    """A broken rule.

    Attributes:
        time_s: when.
        joint: or coupled limit, or '' for the whole head.
        kind: short name of the rule.
        seen: what happened.
        rule: what should have been.
    """

    time_s: float
    joint: str
    kind: str
    seen: str
    rule: str

    def __str__(self) -> str:
        who = f'{self.joint}: ' if self.joint else ''
        return f'{self.time_s:.3f} s {who}{self.kind}: {self.seen}; rule: {self.rule}'


@dataclass
class _Track:
    """What is known of one joint's servo.

    Attributes:
        known: registers as written or read last, by address.
        present: position as (time, rad), the last ones.
        goals: goals as (time, rad), the last ones.
        blind: goals since the last answer.
        lost_s: since when torque is known to be off, or the watchdog tripped, by itself.
        parked: goal when torque went on; moved: a goal has led away from it.
        restarted_s: when it was last told to restart.
        carried_s: when something else than its goals moved it last, or it became limp.
        rearmed: its watchdog was set right after a reset, and no goal has come since.
    """

    joint: Joint
    known: dict[int, int] = field(default_factory=dict)
    present: list[tuple[float, float]] = field(default_factory=list)
    goals: list[tuple[float, float]] = field(default_factory=list)
    torque: bool = False
    blind: int = 0
    lost_s: float | None = None
    parked: int | None = None
    moved: bool = False
    hot_s: float | None = None
    push_from: tuple[float, float] | None = None
    pushed: list[tuple[float, float]] = field(default_factory=list)
    push_told: bool = False
    astray_s: float | None = None
    resting_s: float = -1e9  # when it last pushed against something
    restarted_s: float = -1e9
    carried_s: float = -1e9
    rearmed: bool = False

    def is_at(self, tick: int) -> bool:
        """Whether a goal is where the joint was measured last."""
        if not self.present:
            return False
        return abs(self.rad(tick) - self.present[-1][1]) < 1.5 * reg.RAD_PER_TICK

    @property
    def stands(self) -> bool:
        """Whether its last goals were one and the same, but for the rounding."""
        last = [rad for _, rad in self.goals[-2:]]
        return len(last) == 2 and abs(last[1] - last[0]) < 1.5 * reg.RAD_PER_TICK

    def rad(self, tick: int) -> float:
        """Return the joint angle of a position register."""
        return (tick - self.joint.zero_tick) * self.joint.direction * reg.RAD_PER_TICK


class Judge:
    """Hears one line, and what the head is told; collects verdicts.

    Attributes:
        verdicts: one per joint and kind, the first of it.
        counts: how often each (joint, kind) was seen.
        goals: poses heard.
        hold_s: the node's parameter, should it change.
    """

    def __init__(
        self, head: Head, rate_hz: float = 100.0, hold_s: float = 1.0, exit_policy: str = ''
    ) -> None:
        """Prepare; hold_s and exit_policy are the node's parameters, all else is in the file."""
        self._head = head
        self._period_s = 1.0 / rate_hz
        self.hold_s = hold_s
        self._exit = exit_policy or head.exit
        self._limits = MotionLimits(head, self._period_s, reg.RAD_PER_TICK)
        self._tracks = {joint.id: _Track(joint) for joint in head.joints}
        self._at = {joint.id: index for index, joint in enumerate(head.joints)}
        # The last poses, newest first: as they went on, and as they may have begun from rest.
        self._paths = [np.zeros((self._limits.span, len(head.joints)))]
        self._group: dict[int, int] = {}
        self._group_numbers: dict[int, int] = {}  # of the packet with the last goal, by id
        self._begun_s = 0.0  # when the group began
        self._single = False  # the group is a goal of one servo, not a cycle's
        self._left_out: set[int] = set()  # servos under torque without a goal in the last pose
        self._waiting: set[int] = set()  # servos of the group that have not answered at once
        self._group_s = self._complete_s = -1e9  # last group; last one that all answered
        self._asked_s = -1e9  # last command or sign of life
        self._stop_s: float | None = None
        self._plugged_s = self._reset_s = -1e9
        self._outside_s = -1e9  # when a joint was last outside its limits: the others wait for it
        self._stopped = False
        self._close_s: float | None = None
        self._torque_on_s = 0.0
        self.verdicts: list[Verdict] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.goals = 0

    # --- what it is told ---------------------------------------------------------------------

    def told(self, time_s: float, what: str) -> None:
        """Note what the head is asked for, or that nobody could reach its servos until now.

        Args:
            time_s: when.
            what: goal, stop, reset, close, start or plugged.
        """
        if what == 'goal':
            self._asked_s = time_s
        elif what == 'stop':
            self._stop_s, self._stopped = time_s, True
        elif what == 'reset':
            self._stop_s, self._stopped = None, False
            self._asked_s = -1e9
            self._torque_on_s = time_s
            self._reset_s = time_s
        elif what == 'plugged':
            self._plugged_s = time_s
        elif what == 'close':
            self._close_s = time_s
        elif what == 'start':
            self._close_s = None
            self._torque_on_s = time_s
            self._asked_s = -1e9
            for track in self._tracks.values():  # taken over where it is, however soon
                track.parked = track.known.get(reg.GOAL_POSITION)
                track.goals.clear()

    def end(self, time_s: float) -> list[Verdict]:
        """Judge what should have happened by now; returns all verdicts."""
        self._flush()
        self._check_stopped(time_s)
        if self._close_s is not None:
            self._check_exit(time_s)
        return self.verdicts

    # --- what it hears -------------------------------------------------------------------------

    def hear(self, heard: Iterable[Heard]) -> None:
        """Take what passed the wire, in order."""
        for one in heard:
            if self._stopped:
                self._check_stopped(one.time_s)
            track = self._tracks.get(one.id)
            if one.kind == 'reboot':
                for servo in self._tracks.values() if one.id == 0xFE else [track]:
                    if servo is not None:
                        self._forget(servo)
                        servo.restarted_s = servo.carried_s = one.time_s
            if track is None:
                continue
            if one.kind == 'write':
                for address, value in reg.values(one.address, one.data):
                    self._written(one, track, address, value)
            elif one.kind == 'read':
                self._flush()  # what is read after a goal is no reason for it
                track.blind = 0
                if one.group == self._group_numbers.get(one.id, -1) + 1:
                    self._waiting.discard(one.id)
                    if not self._waiting:
                        self._complete_s = self._group_s
                for address, value in reg.values(one.address, one.data):
                    self._read(one.time_s, track, address, value)
            elif one.kind == 'rejected':
                track.known.pop(one.address, None)
                if one.address == reg.TORQUE_ENABLE:
                    track.torque = False

    def _forget(self, track: _Track) -> None:
        """Forget what a servo loses when it restarts."""
        track.known = {a: v for a, v in track.known.items() if a < reg.TORQUE_ENABLE}
        track.torque = track.moved = False
        track.lost_s = track.push_from = track.astray_s = None
        track.goals.clear()

    def _written(self, one: Heard, track: _Track, address: int, value: int) -> None:
        if address == reg.GOAL_POSITION:
            if not self._belongs_to_group(one):
                self._flush()
                self._begun_s = one.time_s
            self._group_numbers[one.id] = one.group
            self._group_s = one.time_s
            self._group[one.id] = value
            self._single = one.single
            return
        self._flush()
        before = track.known.get(address)
        track.known[address] = value
        name, joint = track.joint.name, track.joint
        if address == reg.TORQUE_ENABLE:
            self._switched(one.time_s, track, bool(value))
        elif address == reg.GOAL_CURRENT:
            top = reg.current_raw(joint.current_a, joint.model)
            if top is not None and value > max(1, top):
                self._judge(one.time_s, name, 'current', f'limit {value}', f'at most {top} units')
        elif address in reg.MOVING and track.torque and value and value != before:
            self._judge(
                one.time_s,
                name,
                'moved otherwise',
                f'{reg.MOVING[address]} = {value}',
                'moves by goal_position alone',
            )
        elif address == reg.BUS_WATCHDOG and value != reg.WATCHDOG_TRIPPED:
            track.lost_s = None
            track.rearmed = one.time_s - self._reset_s < TAKEN_OVER_S

    def _belongs_to_group(self, one: Heard) -> bool:
        """Whether a goal is of the pose that is being heard: the buses of a head one by one."""
        if self._single or one.single or one.id in self._group:
            return False
        return one.time_s - self._begun_s < self._period_s / 2

    def _switched(self, time_s: float, track: _Track, on: bool) -> None:
        name = track.joint.name
        if not on:
            track.carried_s = time_s
            track.torque = track.moved = False
            track.goals.clear()
            track.lost_s = track.push_from = track.astray_s = None
            return
        if track.torque:
            return
        track.torque = True
        track.lost_s = None
        self._torque_on_s = time_s
        if self._stopped:
            self._judge(time_s, name, 'stop', 'torque goes on', 'off from stop to reset')
        goal = track.known.get(reg.GOAL_POSITION)
        recent = [rad for t, rad in track.present if time_s - t < RECENT_S]
        if goal is None or not recent:
            what = 'goal' if goal is None else 'position'
            self._judge(
                time_s, name, 'torque on', f'{what} unknown', 'goal set to the measured position'
            )
        elif abs(track.rad(goal) - recent[-1]) > HAND_OVER_RAD:
            step = abs(track.rad(goal) - recent[-1])
            self._judge(
                time_s, name, 'torque on', f'goal {step:.3f} rad off', 'goal = measured position'
            )
        track.parked, track.moved = goal, False
        track.goals.clear()
        wanted = reg.needed(track.joint.model)
        for address, values in wanted.items():
            if (found := track.known.get(address)) not in values:
                seen = 'not known' if found is None else str(found)
                self._judge(
                    time_s,
                    name,
                    'set up',
                    f'{reg.NAMES[address]} {seen}',
                    f'{" or ".join(map(str, values))} before torque',
                )
        top = reg.current_raw(track.joint.current_a, track.joint.model)
        if top is not None and track.known.get(reg.GOAL_CURRENT, 1 << 16) > max(1, top):
            self._judge(time_s, name, 'current', 'no limit set', f'at most {top} units, first')

    def _read(self, time_s: float, track: _Track, address: int, value: int) -> None:
        if address == reg.PRESENT_POSITION:
            rad = track.rad(value)
            if not track.torque and (not track.present or rad != track.present[-1][1]):
                track.carried_s = time_s
            track.present.append((time_s, rad))
            del track.present[:-100]
            self._check_following(time_s, track)
            return
        if address == reg.PRESENT_CURRENT:
            self._check_push(time_s, track, value)
            return
        self._flush()
        track.known[address] = value
        if address == reg.TORQUE_ENABLE:
            if not value and track.torque:
                self._forget(track)
                track.lost_s = track.carried_s = time_s
            elif value and not track.torque:  # found holding: taken over as it is
                track.torque = True
                track.moved = False
                track.parked = track.known.get(reg.GOAL_POSITION)
                track.goals.clear()
        elif address == reg.BUS_WATCHDOG and value == reg.WATCHDOG_TRIPPED:
            track.lost_s = track.lost_s or time_s
        elif address == reg.PRESENT_TEMPERATURE:
            warm = value >= self._head.derate_above_c + 1
            track.hot_s = (track.hot_s or time_s) if warm else None

    # --- rules on goals ----------------------------------------------------------------------

    def _flush(self) -> None:
        """Judge the goals of one packet, once all of them were heard."""
        if not self._group:
            return
        time_s, group, self._group = self._group_s, self._group, {}
        for id_, tick in group.items():
            track = self._tracks[id_]
            track.known[reg.GOAL_POSITION] = tick
            late = track.lost_s is not None and time_s - track.lost_s > LOST_S
            if late and not (self._single and track.is_at(tick)):
                name = track.joint.name
                self._judge(time_s, name, 'lost', 'goals to a servo that let go', 'takes it in')
        group = {id_: tick for id_, tick in group.items() if self._tracks[id_].torque}
        if not group:
            return
        if self._single and self._is_held(*next(iter(group.items()))):
            return
        paths = self._paths
        # One of several buses may have taken no goals: what it gets next is of the same pose.
        completes = not self._single and self._left_out.issuperset(group)
        for id_, track in self._tracks.items():
            column = self._at[id_]
            for path in paths:
                if not track.torque and track.present:  # a limp joint is where it is
                    path[:, column] = track.present[-1][1]
                elif id_ in self._left_out and not completes:  # it stood still
                    path[:, column] = path[0, column]
        under_torque = {id_ for id_, track in self._tracks.items() if track.torque}
        self._left_out = (self._left_out if completes else under_torque) - set(group)
        self._waiting = set(group)
        for path in () if completes else paths:
            path[1:] = path[:-1].copy()
        from_rest = paths[0].copy()  # the same if a gap in the answers has ended the motion
        parked: dict[int, float] = {}  # by column: where joints are held that begin to move
        either = time_s - self._complete_s > GRACE_S - 2 * self._period_s
        for id_, tick in group.items():
            track, column = self._tracks[id_], self._at[id_]
            rad = track.rad(tick)
            if track.rearmed and track.stands and track.is_at(tick):
                track.goals.clear()
            track.rearmed = False
            gap = time_s - track.goals[-1][0] if track.goals else math.inf
            start = self._start_of(time_s, track, rad)
            if gap > GRACE_S + 2 * self._period_s:
                self._check_hand_over(time_s, track, rad)
                for path in paths:
                    path[:, column] = start
                if not track.goals and track.parked is not None:
                    parked[column] = track.rad(track.parked)
            either = either or GRACE_S - 2 * self._period_s < gap
            from_rest[:, column] = start
            for path in (*paths, from_rest):
                path[0, column] = rad
            self._goal(time_s, track, tick, rad)
        self.goals += 1
        if either:  # which of them it was, may show some goals later
            paths = [paths[0], *paths[1:][-1:], from_rest]
        held = paths[0].copy()  # the same if motion began at the tick that was held
        for column, start in parked.items():
            if abs(start - held[0, column]) < HAND_OVER_RAD:
                held[1:, column] = start
        paths = [*_distinct([*paths, held])]
        names = {self._tracks[id_].joint.name for id_ in group}
        exceeded = [[o for o in self._limits.rates(path) if o[0] in names] for path in paths]
        fewest = min(exceeded, key=len)
        self._paths = _distinct(
            path for path, over in zip(paths, exceeded, strict=True) if len(over) == len(fewest)
        )
        for name, kind, share in fewest:
            self._judge(time_s, name, kind, f'{share:.2f} times the limit', 'at most once')
        self._check_places(time_s)
        now, before = self._paths[0][:2]
        creeping = self._limits.outside(before) & self._limits.outside(now)
        for index in np.flatnonzero(creeping).tolist():
            self._check_creep(time_s, self._tracks[self._head.joints[index].id], index)

    def _check_places(self, time_s: float) -> None:
        """Judge a pose; a limp joint may carry others over a coupled limit until they stand."""
        joints, coupled = self._head.joints, self._head.coupled
        limp = np.array([not self._tracks[joint.id].torque for joint in joints])
        found = [
            self._limits.places(np.where(limp, path[0], path[1]), path[0]) for path in self._paths
        ]
        places = min(found, key=len)
        terms = {one.name: one.terms for one in coupled}
        for name, seen, rule in places:
            members = [joint for joint in joints if joint.name in terms.get(name, {})]
            tracks = [self._tracks[joint.id] for joint in members]
            carried_s = max((one.carried_s for one in tracks if not one.torque), default=-1e9)
            # What is read in a cycle counts from the next one on, which may be late.
            if time_s - carried_s > _stopping_s(members) + 2 * self._period_s:
                self._judge(time_s, name, 'position', seen, rule)

    def _is_held(self, id_: int, tick: int) -> bool:
        """Note a goal for one joint alone that asks it to stay where it was measured."""
        track, column = self._tracks[id_], self._at[id_]
        rad = track.rad(tick)
        held = track.is_at(tick)
        if held:
            for path in self._paths:
                path[:, column] = rad
            track.goals.clear()
            track.parked = tick
        return held

    def _start_of(self, time_s: float, track: _Track, rad: float) -> float:
        """Return where a motion that begins with a goal comes from.

        That is a position read since the goal before, or lately if there was none: the nearest.
        """
        since = track.goals[-1][0] if track.goals else time_s - RECENT_S
        recent = [one for t, one in track.present if t >= since]
        if not track.goals and track.parked is not None:
            recent.append(track.rad(track.parked))  # held there since torque went on
        near = min(recent, key=lambda one: abs(one - rad), default=rad)
        return rad if abs(near - rad) < HAND_OVER_RAD else near

    def _check_hand_over(self, time_s: float, track: _Track, rad: float) -> None:
        step = abs(rad - self._start_of(time_s, track, rad))
        if step > HAND_OVER_RAD:
            seen = f'first goal {step:.3f} rad off'
            self._judge(time_s, track.joint.name, 'hand-over', seen, 'from the measured position')

    def _goal(self, time_s: float, track: _Track, tick: int, rad: float) -> None:
        """Judge one goal of one joint under torque."""
        name, joint = track.joint.name, track.joint
        before_s, last = track.goals[-1] if track.goals else (time_s, rad)
        still = abs(rad - last) < reg.RAD_PER_TICK / 2
        track.goals.append((time_s, rad))
        del track.goals[:-60]
        track.blind += 1
        if track.blind > BLIND_GOALS and not still:
            self._judge(
                time_s, name, 'blind', f'{track.blind} goals without an answer', 'reads first'
            )
        if len(track.goals) > 20:
            took = time_s - track.goals[-21][0]
            if took < 18 * self._period_s:
                self._judge(time_s, name, 'rate', f'20 cycles in {took:.3f} s', 'keeps its rate')
        if not track.moved and tick != track.parked:
            track.moved = True
            self._check_watchdog(time_s, track)
            self._check_creep_current(time_s, track)
        if self._stopped and self._stop_s is not None:
            patience = BRAKE_S if self._head.stop == 'hold' else STOP_S
            # After a gap what is held is taken over where it is, wherever it was carried.
            taken_over = time_s - before_s > GRACE_S and track.is_at(tick)
            if time_s - self._stop_s > patience and not (still or taken_over):
                self._judge(time_s, name, 'stop', 'goals move on', f'still after {patience} s')
        if max(rad - joint.high_rad, joint.low_rad - rad) > reg.RAD_PER_TICK:
            self._outside_s = time_s
        unasked = max(self._asked_s + self.hold_s, self._torque_on_s, self._outside_s) + WAY_S
        pushed = time_s - track.resting_s < REMEMBERED_S
        if (
            time_s > unasked
            and not (pushed or self._stopped)
            and abs(rad - joint.neutral_rad) > NEUTRAL_RAD
        ):
            self._judge(
                time_s, name, 'unasked', f'{rad:.3f} rad', f'neutral {self.hold_s:g} s after news'
            )
        if track.hot_s is not None and time_s - track.hot_s > HEAT_S:
            self._check_heat(time_s, track, rad)

    def _check_watchdog(self, time_s: float, track: _Track) -> None:
        if not self._head.watchdog_s:
            return
        wanted = min(127, max(1, round(self._head.watchdog_s / reg.WATCHDOG_UNIT_S)))
        found = track.known.get(reg.BUS_WATCHDOG)
        if found != wanted:
            self._judge(
                time_s, track.joint.name, 'watchdog', f'{found} while moving', f'{wanted} before'
            )

    def _check_creep_current(self, time_s: float, track: _Track) -> None:
        top = reg.current_raw(track.joint.current_a, track.joint.model)
        rad = track.goals[-1][1]
        out = max(rad - track.joint.high_rad, track.joint.low_rad - rad)
        if top is None or out < 3 * reg.RAD_PER_TICK:
            return
        found = track.known.get(reg.GOAL_CURRENT, 1 << 16)
        if found > max(1, CREEP_CURRENT * top):
            self._judge(
                time_s,
                track.joint.name,
                'creep current',
                f'{found} of {top} units outside the limits',
                f'at most {CREEP_CURRENT:.2f} of it there',
            )

    def _check_creep(self, time_s: float, track: _Track, index: int) -> None:
        path = self._paths[0][:, index]
        way = abs(path[0] - path[5])
        speed = (way - reg.RAD_PER_TICK) / (5 * self._period_s)
        if speed > CREEP_RAD_S:
            self._judge(
                time_s,
                track.joint.name,
                'creep',
                f'{speed:.2f} rad/s outside the limits',
                f'at most {CREEP_RAD_S} rad/s',
            )

    def _check_heat(self, time_s: float, track: _Track, rad: float) -> None:
        celsius = track.known.get(reg.PRESENT_TEMPERATURE, 0)
        head, joint = self._head, track.joint
        width = head.rest_above_c - head.derate_above_c
        # Temperatures rise while nobody reads: one degree and a step of 5 % are allowed for.
        share = min(1.0, max(0.0, (head.rest_above_c - celsius + 1.0) / width) + 0.05)
        most = max(joint.high_rad - joint.neutral_rad, joint.neutral_rad - joint.low_rad)
        if abs(rad - joint.neutral_rad) > share * most + NEUTRAL_RAD:
            self._judge(
                time_s,
                joint.name,
                'heat',
                f'{rad:.3f} rad at {celsius} °C',
                f'at most {share * most:.3f} rad from neutral',
            )

    # --- rules on what servos answer -----------------------------------------------------------

    def _check_push(self, time_s: float, track: _Track, value: int) -> None:
        unit = reg.current_unit_a(track.joint.model)
        if unit is None or not track.present:
            return
        position = track.present[-1][1]
        pushes = track.torque and abs(value) * unit >= PUSH_SHARE * track.joint.current_a
        begin = track.push_from
        if not pushes or (begin and abs(position - begin[1]) > PUSH_WAY_RAD):
            if begin is not None:
                track.pushed.append((begin[0], time_s))
            track.push_from = (time_s, position) if pushes else None
            track.push_told = False
            return
        if begin is None:
            track.push_from = time_s, position
            return
        took = time_s - begin[0]
        if took > 0.1:
            track.resting_s = time_s
        if took > PUSH_S and not track.push_told:
            track.push_told = True
            self._judge(
                time_s,
                track.joint.name,
                'force',
                f'{abs(value) * unit:.2f} A for {took:.1f} s, standing still',
                f'at most {PUSH_S} s above {PUSH_SHARE:g} of {track.joint.current_a:g} A',
            )
        track.pushed = [one for one in track.pushed if time_s - one[1] < 60.0]
        in_all = took + sum(end - start for start, end in track.pushed)
        if in_all > PUSH_IN_ALL_S:
            self._judge(
                time_s,
                track.joint.name,
                'force in all',
                f'{in_all:.1f} s in a minute, standing still',
                f'at most {PUSH_IN_ALL_S:g} s',
            )

    def _check_following(self, time_s: float, track: _Track) -> None:
        goals = [rad for t, rad in track.goals if time_s - t < LAG_S]
        if not track.torque or not goals:
            track.astray_s = None
            return
        present = track.present[-1][1]
        off = max(min(goals) - present, present - max(goals), 0.0)
        if off <= LAG_RAD or self._is_carried(time_s, track):
            track.astray_s = None
            return
        track.astray_s = track.astray_s or time_s
        if time_s - track.astray_s > ASTRAY_S:
            self._judge(
                time_s,
                track.joint.name,
                'following',
                f'{off:.2f} rad off for {ASTRAY_S} s',
                f'within {LAG_RAD} rad of the goals of {LAG_S} s, or left alone',
            )

    def _is_carried(self, time_s: float, track: _Track) -> bool:
        """Whether something stronger carries a joint away that may push only little by now.

        Its goal is to be as near as it may: at a limit, or where a stop holds it.
        """
        joint = track.joint
        top = reg.current_raw(joint.current_a, joint.model)
        found = track.known.get(reg.GOAL_CURRENT)
        if top is None or found is None or found > GENTLE_SHARE * top:
            return False
        present, goal = track.present[-1][1], track.goals[-1][1]
        nearest = min(max(present, joint.low_rad), joint.high_rad)
        before = [rad for t, rad in track.present if time_s - t < LAG_S]
        moves = max(before) - min(before) > PUSH_WAY_RAD
        return self._stopped or moves or abs(goal - nearest) < LAG_RAD

    # --- rules on the end ----------------------------------------------------------------------

    def _check_stopped(self, time_s: float) -> None:
        if self._stop_s is None or self._head.stop != 'limp':
            return
        if time_s < max(self._stop_s, self._plugged_s) + STOP_S:
            return
        for track in self._tracks.values():
            if track.torque:
                self._judge(time_s, track.joint.name, 'stop', 'torque is on', f'off in {STOP_S} s')

    def _check_exit(self, time_s: float) -> None:
        # From far outside the way at creeping speed takes longer than a head may take.
        coming_in = time_s - self._outside_s < WAY_S
        for track in self._tracks.values():
            name, joint = track.joint.name, track.joint
            if self._exit != 'hold' and track.torque:
                self._judge(time_s, name, 'exit', 'torque is on', f'off by exit: {self._exit}')
            restarts = time_s - track.restarted_s < RESTART_S
            if self._exit == 'hold' and not (track.torque or self._stopped or restarts):
                self._judge(time_s, name, 'exit', 'torque is off', 'on by exit: hold')
            step = abs(np.diff(self._paths[0][:2, self._at[joint.id]])[0])
            if self._exit == 'hold' and track.torque and step > 2 * reg.RAD_PER_TICK:
                seen = f'left at {step / self._period_s:.2f} rad/s'
                self._judge(time_s, name, 'exit', seen, 'comes to rest first')
            if self._exit == 'neutral_limp' and not self._stopped:
                last = track.known.get(reg.GOAL_POSITION)
                rad = joint.neutral_rad if last is None else track.rad(last)
                off = abs(rad - joint.neutral_rad)
                stuck = time_s - track.resting_s < REMEMBERED_S
                if off > NEUTRAL_RAD and not (coming_in or stuck):
                    self._judge(
                        time_s,
                        name,
                        'exit',
                        f'left {off:.2f} rad from neutral',
                        'goes there first',
                    )

    def _judge(self, time_s: float, joint: str, kind: str, seen: str, rule: str) -> None:
        self.counts[joint, kind] += 1
        if self.counts[joint, kind] == 1:
            self.verdicts.append(Verdict(time_s, joint, kind, seen, rule))


def _stopping_s(joints: Iterable[Joint]) -> float:
    """Return how long the slowest of some joints takes to stop; 0 for none.

    It may still accelerate: that ends first, at full speed then.
    """
    return max(
        (
            one.speed_rad_s / one.acceleration_rad_s2
            + 2.0 * one.acceleration_rad_s2 / one.jerk_rad_s3
            for one in joints
        ),
        default=0.0,
    )


def _distinct(paths: Iterable[Array]) -> list[Array]:
    """Return the first path and those that differ from it."""
    first, *others = paths
    return [first, *(path for path in others if not np.array_equal(path, first))]
