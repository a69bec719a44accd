"""What the keyframe detectors can be told; all of it may change while they run."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

MODES = ('peak', 'settle', 'travel', 'combined')
CAUSAL = ('travel', 'combined')  # modes without look-ahead and commit delay


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Settings of every mode; docs/keyframes.md defines what they do.

    Attributes:
        mode: one of MODES.
        prominence: height of a peak over the valleys beside it, 0..1.
        threshold: peaks below do not count; 0 leaves it to the prominence.
        spacing_s: minimum time between keyframes [s], rounded to whole frames.
        commit_delay_s: latest commitment after the keyframe [s], smoothing included.
        travel_quantum: raw change between two keyframes of `travel` and `combined`.
    """

    mode: str = 'peak'
    prominence: float = 0.1
    threshold: float = 0.0
    spacing_s: float = 0.2
    commit_delay_s: float = 0.17
    travel_quantum: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an unknown mode.

        Raises:
            ValueError: the mode is none of MODES.
        """
        if self.mode not in MODES:
            raise ValueError(f'mode = {self.mode!r} must be one of {", ".join(MODES)}')

    @classmethod
    def from_parameters(cls, values: Mapping[str, Any]) -> 'DetectorSettings':
        """Take the `detector.*` values of the keyframe node; missing ones keep their default."""
        names = [field.name for field in fields(cls)]
        return cls(**{n: values[f'detector.{n}'] for n in names if f'detector.{n}' in values})
