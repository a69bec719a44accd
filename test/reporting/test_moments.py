"""Blinks and apexes: which of them the robot reached, whatever its delay."""

from types import SimpleNamespace

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS, REFLEX_CHANNELS
from kf_imitation.reporting.moments import moments
from kf_imitation.reporting.recording import Signals

TIME_S = np.arange(0, 12, 1 / 30)
LIDS = ('eye_close_left', 'eye_close_right')


def bump(at_s, size, width_s=0.12):
    return size * np.exp(-(((TIME_S - at_s) / width_s) ** 2))


@pytest.fixture
def run():
    """A robot whose joints are the channels, 0.2 s late; its second blink is half as large."""
    human = np.zeros((len(TIME_S), len(REFLEX_CHANNELS)))
    robot = np.zeros((len(TIME_S), len(CHANNELS)))
    for lid in LIDS:
        human[:, REFLEX_CHANNELS.index(lid)] = bump(3, 1.0) + bump(6, 1.0)
        robot[:, CHANNELS.index(lid)] = bump(3.2, 0.95) + bump(6.2, 0.5)
    human[:, REFLEX_CHANNELS.index('jaw_open')] = bump(9, 0.8, 0.3)
    robot[:, CHANNELS.index('jaw_open')] = bump(9.2, 0.8, 0.3)
    stamps = (TIME_S * 1e9).astype(np.int64) + 500
    topics = {
        'face/reflex': Signals(stamps, REFLEX_CHANNELS, human),
        'joint_states': Signals(stamps, CHANNELS, robot),
    }
    return SimpleNamespace(signals=topics.get, shown=robot, start_ns=500, topics=topics)


def test_blinks_and_apexes_are_reached_or_missed(run):
    found = moments(run)
    assert [(m['name'], m['reached']) for m in found] == [
        ('blink', True),
        ('blink', False),
        ('jaw open', True),
    ]
    assert [m['time_s'] for m in found] == pytest.approx([3, 6, 9], abs=0.05)
    assert [m['share'] for m in found] == pytest.approx([0.95, 0.5, 1.0], abs=0.08)


def test_a_run_without_a_reading_of_every_frame_is_not_judged(run):
    del run.topics['face/reflex']
    assert moments(run) == []
