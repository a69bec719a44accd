"""From a pose back to the channels and blendshapes that it shows: for metrics and drawn faces."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kf_imitation.robot.channel_gains import HIGHEST, INPUTS, LOWEST

Array = NDArray[np.float64]
Curve = tuple[int, int, Array, Array]  # joint, input, values, rad from neutral at each
# Pulls inputs that a pose does not need to 0 [rad²]; too small to shrink the others visibly.
REST_WEIGHT = 1e-6
# Towards joints that one input moves by curves of several shapes: from where, and how often.
_STARTS = (0.0, 0.5, 1.0, 0.25, 0.75)
_STEPS = 12
_NEAR_RAD = 1e-6  # nearer than that is there
# So near to rest is at rest, for curves that leave it late: noise of an encoder is no channel.
_STILL_RAD = 0.005


@dataclass(frozen=True)
class _Way:
    """An input measured by how far it moves the head, so that curves become straight.

    Attributes:
        values: (n,) of the input, rising through 0.
        gone: (n,) share of the whole way at each, from -1 or 0 to 1, never falling.
        still: share up to which it is at rest.
    """

    values: Array
    gone: Array
    still: float

    def value(self, gone: float) -> float:
        """Return the value nearest to 0 that has gone so far."""
        if abs(gone) <= self.still:
            return 0.0
        if gone < 0.0:
            return -_first(-gone, -self.gone[::-1], -self.values[::-1])
        return _first(gone, self.gone, self.values)


class PoseReader:
    """Finds the smallest inputs that explain a pose.

    Attributes:
        moving: (M,) places in INPUTS of what moves a joint.
    """

    def __init__(self, alpha: Array, curves: Sequence[Curve], neutral_rad: Array) -> None:
        """Lay out what moves which joint.

        Args:
            alpha: (J, I) rad per unit of each of INPUTS.
            curves: of the inputs that move a joint otherwise; alpha is 0 there.
            neutral_rad: (J,).
        """
        self._neutral_rad = neutral_rad
        self._straight = alpha.copy()
        self._bent: list[Curve] = []  # joints that do not move as the whole way of their input
        self._ways: dict[int, _Way] = {}
        for place in sorted({place for _, place, _, _ in curves}):
            self._measure(place, alpha, [curve for curve in curves if curve[1] == place])
        moves = np.any(self._straight != 0.0, axis=0)
        moves[[place for _, place, _, _ in self._bent]] = True
        self.moving: NDArray[np.intp] = np.flatnonzero(moves)
        self._rest = np.sqrt(REST_WEIGHT) * np.eye(len(self.moving))
        if self._bent:
            self._groups_of_joints, self._groups_of_inputs = self._group()

    def read(self, position_rad: Array) -> Array:
        """Return the inputs (I,) that a pose (J,) shows, 0 for those that move nothing.

        Unit inputs are in 0..1. Clamped goals give the clamped inputs, not the original ones.
        """
        values = np.zeros(len(INPUTS))
        if not len(self.moving):
            return values
        if self._bent:
            gone = self._found_through_bends(position_rad)
        else:
            gone = self._solve(position_rad, values)
        for place in self.moving.tolist():
            way = self._ways.get(place)
            values[place] = gone[place] if way is None else way.value(gone[place])
        return np.clip(values, LOWEST, HIGHEST)

    def _found_through_bends(self, position_rad: Array) -> Array:
        """Return the best ways (I,) for a pose of a head with bends, each from its best start."""
        groups = self._groups_of_inputs
        bent = [place for _, place, _, _ in self._bent]
        best, least = np.zeros(len(INPUTS)), np.full(groups.max() + 1, np.inf)
        for start in _STARTS:
            begun = np.zeros(len(INPUTS))
            begun[bent] = start
            found = self._approached(position_rad, begun)
            missed = self._missed(position_rad, found)
            better = missed < least - _NEAR_RAD
            best = np.where(better[groups], found, best)
            least = np.where(better, missed, least)
            if (least < _STILL_RAD).all():
                break
        return best

    def _approached(self, position_rad: Array, gone: Array) -> Array:
        """Return where steps from some ways (I,) towards a pose end."""
        for _ in range(_STEPS):
            missed = self._missed(position_rad, gone)
            if (missed < _NEAR_RAD).all():
                break
            step = self._solve(position_rad, gone) - gone
            share = np.ones(len(missed))  # of its step that each group goes
            further = gone + step
            while (
                worse := (missed >= _NEAR_RAD)
                & (self._missed(position_rad, further) >= missed)
                & (share > _NEAR_RAD)
            ).any():
                share[worse] /= 2  # too far: past the bend that was reckoned with
                further = gone + share[self._groups_of_inputs] * step
            gone = further
        return gone

    def _group(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return for joints (J,) and inputs (I,) which belong together, as they share others."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        moves = self._straight != 0.0
        for row, place, _, _ in self._bent:
            moves[row, place] = True
        joints, inputs = np.nonzero(moves)
        count = sum(moves.shape)
        ties = coo_array((np.ones(len(joints)), (joints, len(moves) + inputs)), (count, count))
        _, groups = connected_components(ties, directed=False)
        return groups[: len(moves)], groups[len(moves) :]

    def _measure(self, place: int, alpha: Array, curves: Sequence[Curve]) -> None:
        """Measure an input by all that it moves."""
        values = np.unique(np.concatenate([at for _, _, at, _ in curves]))
        moved = np.outer(alpha[:, place], values)
        for row, _, at, rad in curves:
            moved[row] = np.interp(values, at, rad)
        far = np.sign(values) * np.abs(moved).sum(axis=0)
        whole = np.abs(far).max()
        if whole == 0.0:
            return
        gone = far / whole
        leaves_late = np.any((values != 0.0) & (far == 0.0))
        self._ways[place] = _Way(values, gone, _STILL_RAD / whole if leaves_late else 0.0)
        slopes = moved @ gone / (gone @ gone)
        for row in np.flatnonzero(np.any(moved != 0.0, axis=1)).tolist():
            if np.allclose(moved[row], slopes[row] * gone, atol=_NEAR_RAD):
                self._straight[row, place] = slopes[row]
            else:
                self._straight[row, place] = 0.0
                self._bent.append((row, place, gone, moved[row]))

    def _solve(self, position_rad: Array, gone: Array) -> Array:
        """Return the best ways (I,) for a pose, as if bends went on as they are at some ways."""
        from scipy.optimize import lsq_linear  # half a second that a head need not wait for

        slopes, offset = self._straight.copy(), self._neutral_rad.copy()
        for row, place, at, rad in self._bent:
            slope = _slope(gone[place], at, rad)
            slopes[row, place] = slope
            offset[row] += np.interp(gone[place], at, rad) - slope * gone[place]
        matrix = np.vstack([slopes[:, self.moving], self._rest])
        right = np.concatenate([position_rad - offset, np.zeros(len(self.moving))])
        found = np.zeros(len(INPUTS))
        bounds = LOWEST[self.moving], np.inf
        found[self.moving] = lsq_linear(matrix, right, bounds, method='bvls').x
        return np.clip(found, LOWEST, HIGHEST)

    def _missed(self, position_rad: Array, gone: Array) -> Array:
        """Return how far the joints of each group (G,) are from a pose at some ways (I,) [rad]."""
        reached = self._neutral_rad + self._straight @ gone
        for row, place, at, rad in self._bent:
            reached[row] += np.interp(gone[place], at, rad)
        squares = np.square(position_rad - reached)
        count = self._groups_of_inputs.max() + 1
        return np.sqrt(np.bincount(self._groups_of_joints, squares, count))


def _first(gone: float, at: Array, values: Array) -> float:
    """Return where a curve that never falls first reaches a height, at its end if it does not."""
    k = int(np.searchsorted(at, gone))
    if k == 0:
        return float(values[0])
    if k == len(at):
        return float(values[np.searchsorted(at, at[-1])])
    return float(np.interp(gone, at[k - 1 : k + 1], values[k - 1 : k + 1]))


def _slope(gone: float, at: Array, rad: Array) -> float:
    """How steep a curve is from a place on; of places that are one, the last counts."""
    k = int(np.clip(np.searchsorted(at, gone, side='right'), 1, len(at) - 1))
    while k < len(at) - 1 and at[k] == at[k - 1]:
        k += 1
    width = at[k] - at[k - 1]
    return float((rad[k] - rad[k - 1]) / width) if width > 0 else 0.0
