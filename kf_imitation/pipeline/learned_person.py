"""What a calibration session taught about a person, in a file that never becomes poorer by it."""

from pathlib import Path

import numpy as np

from kf_imitation.errors import ConfigError, KfImitationError
from kf_imitation.expression.calibration import FULL, REST, Calibration
from kf_imitation.expression.calibration_file import load_calibration, save_calibration
from kf_imitation.expression.calibration_fit import MINIMUM_FACES, calibrate
from kf_imitation.expression.channels import IS_ANGLE, Levels

# Without a face for this long nobody wants to be calibrated.
NOBODY_S = 15.0
# Files keep four digits of a level.
_AS_MOST_FACES = 1e-3


def keep_person(person: str, rest: Levels, posed: Levels, file: Path) -> list[str]:
    """Calibrate from what a person showed and write the file.

    Who only held still, as a photograph does, has shown the face at rest and nothing else. That
    makes a file of its own, but replaces none that knows expressions of the person.

    Args:
        person: name.
        rest: (n, 19) raw channels of the relaxed face.
        posed: (m, 19) raw channels while the person was asked for all expressions.
        file: to write; an existing one is replaced.

    Returns:
        What was missing, a sentence each.

    Raises:
        ConfigError: no neutral can be learned, or only neutral could be and the file knows more.
        OutputError: the file cannot be written. An existing one stays, whatever happens.
    """
    calibration, missing = calibrate(person, rest, posed)
    if not knows_expressions(calibration):
        held = len(posed) >= MINIMUM_FACES
        why = 'the face hardly moved' if held else 'hardly a face was seen after the rest'
        still = f'no expression was seen: {why}'
        if _file_knows_expressions(file):
            raise ConfigError(str(file), [f'{still}; the file knows expressions and stays'])
        missing = [f'{still}. Only the face at rest was learned, ranges are those of most faces']
    save_calibration(calibration, file)
    return missing


def knows_expressions(calibration: Calibration) -> bool:
    """Whether the range of any channel is a person's own instead of that of most faces."""
    own = calibration.extreme - calibration.neutral - (FULL - REST)
    return bool((np.abs(own[~IS_ANGLE]) > _AS_MOST_FACES).any())


def _file_knows_expressions(file: Path) -> bool:
    try:
        return knows_expressions(load_calibration(file))
    except KfImitationError:  # there is none, or it is no calibration
        return False
