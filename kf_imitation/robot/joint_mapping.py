"""From channels to joint goals by the alphas of the robot file, and back for the metrics."""

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import (
    BLENDSHAPES,
    CHANNELS,
    Expression,
    FloatArray,
)
from kf_imitation.face_geometry.arkit import channels_of_blendshapes, shapes_of_channels
from kf_imitation.robot import RobotConfig
from kf_imitation.robot.channel_gains import HIGHEST, INPUTS, LOWEST
from kf_imitation.robot.model import Combination
from kf_imitation.robot.pose_reading import Curve, PoseReader

Array = NDArray[np.float64]
_SHAPES = np.array([BLENDSHAPES.index(name) for name in INPUTS[len(CHANNELS) :]], np.intp)


class JointMapping:
    """goal = neutral + sum of what each channel or blendshape moves, clamped to the limits.

    Attributes:
        neutral_rad: (J,) float64.
        used: (19,) bool, channels that this head can show.
        used_shapes: (51,) bool, blendshapes that it can show.
    """

    def __init__(self, robot: RobotConfig) -> None:
        joints = robot.joints
        self.neutral_rad: Array = robot.neutral_rad
        self._low = np.array([j.limits_rad[0] for j in joints], np.float64)
        self._high = np.array([j.limits_rad[1] for j in joints], np.float64)
        self._alpha = np.zeros((len(joints), len(INPUTS)))
        self._curves: list[Curve] = []
        for row, joint in enumerate(joints):
            for channel, alpha in joint.channels.items():
                place = INPUTS.index(channel)
                if channel in joint.curves:
                    self._curves.append((row, place, *np.transpose(joint.curves[channel])))
                else:
                    self._alpha[row, place] = alpha
        self._reader = PoseReader(self._alpha, self._curves, self.neutral_rad)
        self._rules = [_Rule(rule) for rule in robot.combinations]
        moving = np.zeros(len(INPUTS), np.bool_)
        moving[self._reader.moving] = True
        self._shows_shapes = bool(moving[len(CHANNELS) :].any())
        self._asks_shapes = self._shows_shapes or any(rule.asks_shapes for rule in self._rules)
        self._direct = moving[: len(CHANNELS)]
        shown = np.zeros(len(BLENDSHAPES))
        shown[_SHAPES] = moving[len(CHANNELS) :]
        self.used: NDArray[np.bool_] = self._direct | (
            np.nan_to_num(np.abs(channels_of_blendshapes(shown))) > 0
        )
        both_ways = [shapes_of_channels(way * self.used, shown) for way in (1.0, -1.0)]
        self.used_shapes: NDArray[np.bool_] = (shown > 0) | (np.max(both_ways, axis=0) > 0)

    def goals(self, expression: Expression) -> Array:
        """Return the goal of every joint, (J,) float64 rad, inside the limits.

        Values that are not finite count as neutral, all but angles are clipped to 0..1. An
        expression without blendshapes has those that its channels make.
        """
        read = np.zeros(len(INPUTS))
        read[: len(CHANNELS)] = expression.values
        if self._asks_shapes:
            shapes = expression.shapes
            values = shapes_of_channels(expression.values) if shapes is None else shapes.values
            read[len(CHANNELS) :] = values[_SHAPES]
        values = np.clip(np.nan_to_num(read, posinf=0.0, neginf=0.0), LOWEST, HIGHEST)
        if self._rules:
            combined = values.copy()
            for rule in self._rules:
                combined[rule.place] = rule(combined[rule.place], values)
            values = np.clip(combined, LOWEST, HIGHEST)
        goal = self.neutral_rad + self._alpha @ values
        for row, place, at, rad in self._curves:
            goal[row] += np.interp(values[place], at, rad)
        clamped: Array = np.clip(goal, self._low, self._high)
        return clamped

    def channels(self, position_rad: Array) -> FloatArray:
        """Return the channels that a pose shows, (19,) float32.

        The smallest values that explain the (J,) positions, unit channels in 0..1; a channel that
        the head cannot show is 0. Clamped goals give the clamped channel, not the original;
        combined ones what came of them.
        """
        return self._read(position_rad)[0]

    def shown(self, position_rad: Array) -> tuple[FloatArray, FloatArray]:
        """Return channels (19,) as channels() does, and blendshapes (51,) float32 of a pose."""
        channels, shapes = self._read(position_rad)
        return channels, shapes_of_channels(channels, shapes).astype(np.float32)

    def _read(self, position_rad: Array) -> tuple[FloatArray, Array]:
        """Return the channels, and the blendshapes that have joints of their own."""
        values = self._reader.read(position_rad)
        shapes = np.zeros(len(BLENDSHAPES))
        channels = np.where(self._direct, values[: len(CHANNELS)], 0.0)
        if self._shows_shapes:
            shapes[_SHAPES] = values[len(CHANNELS) :]
            through = np.nan_to_num(channels_of_blendshapes(shapes))
            channels = np.where(self._direct, channels, through)
        return channels.astype(np.float32), shapes


class _Rule:
    """A combination as numbers."""

    def __init__(self, rule: Combination) -> None:
        self.place = INPUTS.index(rule.channel)
        self._add, self._damp = (
            [(INPUTS.index(name), factor) for name, factor in terms.items()]
            for terms in (rule.add, rule.damp)
        )
        places = [self.place, *(place for place, _ in (*self._add, *self._damp))]
        self.asks_shapes = max(places) >= len(CHANNELS)

    def __call__(self, value: float, read: Array) -> float:
        value += sum(factor * read[place] for place, factor in self._add)
        for place, factor in self._damp:
            value *= 1 - factor * abs(read[place])
        return value
