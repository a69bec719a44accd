"""A guided calibration: what is asked for when, and which faces count for what."""

import numpy as np

from kf_imitation.data_types import CHANNELS
from kf_imitation.expression.calibration_session import (
    COUNT,
    EXPRESSIONS,
    REST,
    CalibrationSession,
)

FACE = np.zeros(len(CHANNELS))
S = 1_000_000_000


def test_every_expression_is_asked_for_in_turn_after_the_rest():
    session = CalibrationSession(rest_s=3.0, pose_s=9.0)
    asked = []
    while not session.is_over:
        if not asked or asked[-1] != session.instruction:
            asked.append(session.instruction)
        session.push(100 * S + 250_000_000 * sum(map(len, session.faces)), FACE)
    assert asked == [REST, *(f'Now: {text}' for text in EXPRESSIONS)]
    assert session.step == COUNT - 1 and session.progress == 1.0
    rest, posed = session.faces
    assert (len(rest), len(posed)) == (12, 37)


def test_time_waits_for_the_first_face_and_goes_on_without_one():
    session = CalibrationSession(rest_s=2.0, pose_s=4.0)
    session.push(0, None)
    session.push(50 * S, np.full(len(CHANNELS), np.nan))
    assert not session.has_begun and session.progress == 0.0
    session.push(60 * S, FACE)
    session.push(63 * S, None)
    assert session.has_begun and session.progress == 0.5 and session.step > 0
    session.push(67 * S, FACE)
    assert session.is_over
    assert [len(faces) for faces in session.faces] == [1, 0]
