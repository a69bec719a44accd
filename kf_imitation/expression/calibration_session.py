"""A guided calibration: what a person is to show now, and the faces seen meanwhile. No clock."""

import numpy as np

from kf_imitation.data_types import CHANNELS
from kf_imitation.expression.channels import Levels

REST = 'Look into the camera with a relaxed face and eyes open.'
# Each is shown for an equal part of the time after the rest.
EXPRESSIONS = (
    'Open your mouth wide.',
    'Smile broadly.',
    'Pull the corners of your mouth down.',
    'Press your lips together.',
    'Make a kiss.',
    'Shut your eyes.',
    'Open your eyes wide.',
    'Raise your brows.',
    'Lower your brows.',
)
COUNT = 1 + len(EXPRESSIONS)


class CalibrationSession:
    """Takes the raw channels of frame after frame; time begins with the first face."""

    def __init__(self, rest_s: float = 3.0, pose_s: float = 22.5) -> None:
        """Begin with the face at rest.

        Args:
            rest_s: time at rest.
            pose_s: time for all expressions after that.
        """
        self._rest_s, self._pose_s = rest_s, pose_s
        self._first_ns: int | None = None
        self._elapsed_s = 0.0
        self._rest: list[Levels] = []
        self._posed: list[Levels] = []

    def push(self, stamp_ns: int, raw: Levels | None) -> None:
        """Take a frame.

        Args:
            stamp_ns: later than the one before.
            raw: (19,) raw channels; None without a face.
        """
        is_good = raw is not None and bool(np.isfinite(raw).all())
        if self._first_ns is None:
            if not is_good:
                return
            self._first_ns = stamp_ns
        self._elapsed_s = (stamp_ns - self._first_ns) * 1e-9
        if is_good and raw is not None and not self.is_over:
            (self._rest if self._elapsed_s < self._rest_s else self._posed).append(raw)

    @property
    def is_over(self) -> bool:
        """Whether all was shown."""
        return self._elapsed_s > self._rest_s + self._pose_s

    @property
    def has_begun(self) -> bool:
        """Whether a face was seen."""
        return self._first_ns is not None

    @property
    def step(self) -> int:
        """What is shown now: 0 the face at rest, then the expressions; below COUNT."""
        posed_s = self._elapsed_s - self._rest_s
        if posed_s < 0:
            return 0
        return min(1 + int(posed_s / self._pose_s * len(EXPRESSIONS)), COUNT - 1)

    @property
    def instruction(self) -> str:
        """What the person is to do now."""
        return REST if self.step == 0 else f'Now: {EXPRESSIONS[self.step - 1]}'

    @property
    def progress(self) -> float:
        """How much of the time is over, 0 to 1."""
        return min(1.0, self._elapsed_s / (self._rest_s + self._pose_s))

    @property
    def faces(self) -> tuple[Levels, Levels]:
        """(n, 19) at rest and (m, 19) posed raw channels so far."""
        empty = np.empty((0, len(CHANNELS)))
        return (
            np.array(self._rest) if self._rest else empty,
            np.array(self._posed) if self._posed else empty,
        )
