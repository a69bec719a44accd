"""A calibration from what a person showed in a session."""

import numpy as np

from kf_imitation.data_types import CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.expression.calibration import FULL, REST, Calibration
from kf_imitation.expression.channels import IS_ANGLE, Levels

MINIMUM_FACES = 10  # at rest and posed
_WAVER = 1.5  # largest standard deviation of a face at rest, in raw units


def calibrate(person: str, rest: Levels, posed: Levels) -> tuple[Calibration, list[str]]:
    """Calibrate from what a person showed.

    Args:
        person: name.
        rest: (n, 19) raw channels of the relaxed face.
        posed: (m, 19) raw channels while the person made all expressions.

    Returns:
        The calibration, and what was missing, a sentence each. Neutral is the median at rest, the
        extreme the 95th percentile of the expressions; channels that the person did not use keep
        the range of most faces.

    Raises:
        ConfigError: no neutral can be learned from the faces at rest, with every reason.
    """
    subject = f'calibration of {person}'
    if len(rest) < MINIMUM_FACES:
        seen = f'{len(rest)} faces at rest were seen, they must be {MINIMUM_FACES} or more'
        raise ConfigError(subject, [seen])
    neutral = np.median(rest, axis=0)
    width = FULL - REST
    wavers = rest.std(axis=0) / _WAVER
    restless = [
        f'{CHANNELS[k]} ({wavers[k]:.1f} times what may be)'
        for k in np.flatnonzero((wavers > 1) & ~IS_ANGLE)
    ]
    if restless:
        said = (
            f'the face wavered during the rest: {", ".join(restless)}; keep it relaxed until the '
            'first expression is asked for, or, of a recording whose expressions begin sooner, '
            'take a shorter rest (kf_imitation calibrate --rest-s)'
        )
        raise ConfigError(subject, [said])
    if len(posed) < MINIMUM_FACES:
        short = f'only neutral was learned: {len(posed)} expressions were seen after the rest'
        return Calibration(person, neutral, neutral + width), [short]
    reached = np.percentile(posed, 95, axis=0)
    used = reached - neutral > 0.5 * width
    missing = [
        f'{name} hardly moved and keeps the range of most faces'
        for name in ('jaw_open', 'eye_close_left', 'eye_close_right')
        if not used[CHANNELS.index(name)]
    ]
    return Calibration(person, neutral, np.where(used, reached, neutral + width)), missing
