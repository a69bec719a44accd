"""How large, how far off and how complete an imitation is: benchmark.md, section 3b. Pure.

Cosine and correlation do not see that a face moves half as far or rests beside its place; these
measures do. Signals are shares of their range with rest at 0. `human` and `robot` are sampled at
the same frames, the robot after the one delay that fits best.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from kf_imitation.data_types import CHANNELS
from kf_imitation.evaluation.imitation.formulas import tracking

Signal = NDArray[np.float64]

LONGEST_DELAY_S, DELAY_STEP_S = 0.8, 0.02
LEFT_OUT_S = 0.5  # at the beginning, while the head finds the face
AT_REST = 0.1  # share of the range
APEX = 0.25  # size and prominence of an apex
APEX_WINDOW_S = 0.3
APEX_SHARES = (-0.5, 1.5)
BLINK, BLINK_PROMINENCE = 0.5, 0.3
BLINK_SHOWN = 0.8  # share of the human's
BLINK_WINDOW_S = (-0.1, 0.3)
WINK = 0.5  # how much further one eye is closed than the other
WINK_SHOWN = 0.5  # share of that difference
LIDS = [CHANNELS.index(f'eye_close_{side}') for side in ('left', 'right')]

NOTHING = float('nan')


@dataclass(frozen=True, slots=True)
class Size:
    """One signal; NaN where it cannot be said.

    Attributes:
        gain: slope of the least-squares line of robot on human.
        ccc: Lin's concordance.
        rest: |median of the robot| while the human rests, share of the range.
        apex: share of the human's apexes that the robot reaches, mean.
        apexes: how many.
    """

    gain: float
    ccc: float
    rest: float
    apex: float
    apexes: int


@dataclass(frozen=True, slots=True)
class Lids:
    """Blinks and winks of one clip, counted.

    Attributes:
        blinks: of the human.
        blinks_shown: of these.
        invented: closures of the robot without one.
        winks: times that the human closed one eye further than the other.
        winks_apart: of these, the robot did too.
        minutes: that were looked at.
    """

    blinks: int
    blinks_shown: int
    invented: int
    winks: int
    winks_apart: int
    minutes: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """All signals of one kind, joints or channels, on one clip.

    Attributes:
        delay_s: the one that fits best.
        correlation: mean over the signals that move, at that delay.
        by_name: of the signals that move.
    """

    delay_s: float
    correlation: float
    by_name: dict[str, Size]

    def means(self, names: Sequence[str] | None = None) -> dict[str, float]:
        """Return gain, ccc, rest and apex, each the mean over some signals (None: all)."""
        chosen = [s for name, s in self.by_name.items() if names is None or name in names]
        return mean_size(chosen)


def gain(human: Signal, robot: Signal) -> float:
    """Return the slope of the least-squares line of robot (N,) on human (N,)."""
    centred = human - human.mean()
    energy = float(centred @ centred)
    return float(centred @ robot) / energy if energy > 0 else NOTHING


def concordance(human: Signal, robot: Signal) -> float:
    """Return Lin's concordance of two signals (N,): 1 only for equal ones."""
    both = human.var() + robot.var() + (human.mean() - robot.mean()) ** 2
    covariance = float(np.mean((human - human.mean()) * (robot - robot.mean())))
    return 2 * covariance / float(both) if both > 0 else NOTHING


def rest_offset(human: Signal, robot: Signal) -> float:
    """Return |median of the robot| where the human is at rest; NaN when that is never."""
    still = np.abs(human) <= AT_REST
    return abs(float(np.median(robot[still]))) if still.any() else NOTHING


def apexes(human: Signal) -> list[tuple[int, int]]:
    """Return place and sign of the extremes whose size and prominence are APEX or more."""
    found = []
    for sign in (1, -1):
        peaks, _ = find_peaks(sign * human, height=APEX, prominence=APEX)
        found += [(int(place), sign) for place in peaks]
    return sorted(found)


def apex_shares(human: Signal, robot: Signal, rate_hz: float) -> list[float]:
    """Return how much of each apex of the human the robot reaches, -0.5..1.5."""
    reach = round(APEX_WINDOW_S * rate_hz)
    shares = []
    for place, sign in apexes(human):
        near = sign * robot[max(0, place - reach) : place + reach + 1]
        shares.append(float(np.clip(near.max() / abs(human[place]), *APEX_SHARES)))
    return shares


def size(human: Signal, robot: Signal, rate_hz: float) -> Size:
    """Measure one signal.

    Args:
        human: (N,) share of the range, 0 at rest.
        robot: (N,) at the same frames, the delay taken off.
        rate_hz: frames per second.
    """
    shares = apex_shares(human, robot, rate_hz)
    return Size(
        gain(human, robot),
        concordance(human, robot),
        rest_offset(human, robot),
        float(np.mean(shares)) if shares else NOTHING,
        len(shares),
    )


def sizes(
    names: Sequence[str],
    human: Signal,
    robot_at: Callable[[float], Signal],
    rate_hz: float,
) -> Sizes:
    """Measure all signals after the one delay that correlates best.

    Args:
        names: (C,) of the signals.
        human: (N, C).
        robot_at: gives the robot's signals (N, C) a delay [s] after each frame.
        rate_hz: frames per second.
    """
    fit = tracking(human, robot_at, LONGEST_DELAY_S, DELAY_STEP_S)
    if np.isnan(fit.delay_s):
        return Sizes(NOTHING, NOTHING, {})
    robot = robot_at(fit.delay_s)
    moving = np.flatnonzero(np.isfinite(fit.by_channel)).tolist()
    by_name = {names[k]: size(human[:, k], robot[:, k], rate_hz) for k in moving}
    return Sizes(fit.delay_s, fit.correlation, by_name)


def blink_shares(human: Signal, robot: Signal, rate_hz: float) -> list[tuple[int, float]]:
    """Return place of each blink of the human and how much of it the robot shows; as lids."""
    before, after = (round(edge * rate_hz) for edge in BLINK_WINDOW_S)
    shut, shown = human.mean(axis=1), robot.mean(axis=1)
    blinks, _ = find_peaks(shut, height=BLINK, prominence=BLINK_PROMINENCE)
    return [
        (int(k), float(shown[max(0, k + before) : k + after + 1].max() / shut[k])) for k in blinks
    ]


def lids(human: Signal, robot: Signal, rate_hz: float) -> Lids:
    """Count blinks and winks.

    Args:
        human: (N, 2) closure of the left and the right eye, 0..1.
        robot: (N, 2) of the lids, at the same frames.
        rate_hz: frames per second.
    """
    before, after = (round(edge * rate_hz) for edge in BLINK_WINDOW_S)
    shares = blink_shares(human, robot, rate_hz)
    blinks = np.array([place for place, _ in shares], np.int64)
    closures, _ = find_peaks(robot.mean(axis=1), height=BLINK, prominence=BLINK_PROMINENCE)

    def reached(signal: Signal, place: int) -> float:
        return float(signal[max(0, place + before) : place + after + 1].max())

    invented = [k for k in closures if not np.any((blinks + before <= k) & (k <= blinks + after))]
    winks, apart = 0, 0
    apart_human, apart_robot = human[:, 0] - human[:, 1], robot[:, 0] - robot[:, 1]
    for sign in (1, -1):
        found, _ = find_peaks(sign * apart_human, height=WINK, prominence=BLINK_PROMINENCE)
        winks += len(found)
        apart += sum(
            bool(reached(sign * apart_robot, k) >= WINK_SHOWN * sign * apart_human[k])
            for k in found
        )
    return Lids(
        len(blinks),
        sum(share >= BLINK_SHOWN for _, share in shares),
        len(invented),
        winks,
        apart,
        len(human) / rate_hz / 60,
    )


def mean_size(found: Sequence[Size]) -> dict[str, float]:
    """Return gain, ccc, rest and apex, each the mean of what can be said, NaN without any."""
    rows = [asdict(one) for one in found]
    return {key: _mean([row[key] for row in rows]) for key in ('gain', 'ccc', 'rest', 'apex')}


def lid_rates(found: Sequence[Lids]) -> dict[str, float]:
    """Return the shares of blinks and winks over all clips, and what is invented per minute."""
    total: dict[str, Any] = {
        key: sum(asdict(one)[key] for one in found) for key in Lids.__dataclass_fields__
    }

    def share(key: str, of: str) -> float:
        return total[key] / total[of] if total[of] else NOTHING

    return {
        'blinks': total['blinks'],
        'blinks_shown': share('blinks_shown', 'blinks'),
        'blinks_invented_per_min': share('invented', 'minutes'),
        'winks': total['winks'],
        'winks_apart': share('winks_apart', 'winks'),
    }


def _mean(values: Sequence[float]) -> float:
    good = [value for value in values if not np.isnan(value)]
    return float(np.mean(good)) if good else NOTHING
