"""What the expression estimator can be told; all of it may change while it runs."""

from dataclasses import dataclass

from kf_imitation.data_types import CHANNELS


@dataclass(frozen=True, slots=True)
class ExpressionSettings:
    """Settings of the channels.

    Attributes:
        minimum_confidence: channels below hold their value, then relax to neutral; 0..1.
        alpha: (19,) gain on each channel, in CHANNELS order: the alpha of the paper's
            theta = alpha * mean |p_i - q_i|, on top of the person's calibration. Unit channels
            end at 1 all the same.
        cutoff_hz: of the One-Euro filter at rest; 0 filters nothing.
        speed_gain: how much its cut-off rises with speed.
    """

    minimum_confidence: float = 0.3
    alpha: tuple[float, ...] = (1.0,) * len(CHANNELS)
    cutoff_hz: float = 0.0
    speed_gain: float = 4.0
