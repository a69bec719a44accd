"""The contact sheet of the largest apexes, on a made-up clip with perfect channels."""

import numpy as np
import pytest

from benchmark.apexes import COLUMNS, SIZE_PX, apexes_of, sheet
from kf_imitation.data_types import CHANNELS, FrameScore, HeadPose, Landmarks
from kf_imitation.evaluation.imitation.clip import Clip
from kf_imitation.evaluation.imitation.imitator import LABELS, Imitator
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.nodes import merged_parameters

FPS, FRAMES = 25, 100
JAW = CHANNELS.index('jaw_open')


@pytest.fixture(scope='module')
def found():
    time = np.arange(FRAMES) / FPS
    human = np.zeros((FRAMES, len(CHANNELS)))
    human[:, JAW] = np.where(time < 2, 0.5, 0.9) * np.sin(np.pi * time / 2) ** 2
    stamps = np.round(time * 1e9).astype(np.int64)
    speed = np.abs(np.sin(np.pi * time))
    scores = [
        FrameScore(k, int(stamps[k]), 0.8 * float(speed[k]) if k else None) for k in range(FRAMES)
    ]
    place = np.array([0, 0, 1], np.float32)
    face = (
        Landmarks(0, np.zeros((98, 2), np.float32), np.ones(98, np.float32)),
        HeadPose(0, np.eye(3, dtype=np.float32), place, 0.0, 0.0, 0.0, 0.0),
    )
    valid = np.ones(FRAMES, np.bool_)
    clip = Clip('made', stamps, human, valid, [face] * FRAMES, scores, scores)
    robot = load_robot('sim_face')
    return apexes_of(Imitator(robot, merged_parameters()), robot, clip, LABELS)


def test_the_largest_apex_comes_first_and_the_robot_is_read_where_it_shows_it(found):
    assert [apex.channel for apex in found] == [JAW, JAW]
    assert [round(apex.stamp_ns * 1e-9) for apex in found] == [3, 1]
    for apex, size in zip(found, (0.9, 0.5), strict=True):
        assert apex.human[JAW] == pytest.approx(size, abs=0.01)
        assert apex.robot[JAW] == pytest.approx(size, abs=0.2)
    assert found[0].title.startswith('jaw open 0.90 0.')


def test_the_sheet_has_two_drawn_faces_for_each_apex(found):
    picture = sheet(found)
    assert picture.shape == (2 * SIZE_PX, COLUMNS * SIZE_PX, 3)
    assert not picture[:, 2 * SIZE_PX :].any() and picture[:, : 2 * SIZE_PX].any()
