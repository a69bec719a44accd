"""The measures of size, offset, apexes and blinks on constructed signals."""

import io
import json
from dataclasses import asdict

import numpy as np
import pytest
from rich.console import Console

from kf_imitation.data_types import CHANNELS, FrameScore
from kf_imitation.evaluation.channel_labels import mouth_aperture
from kf_imitation.evaluation.imitation import results, size
from kf_imitation.evaluation.imitation.clip import Clip
from kf_imitation.evaluation.imitation.imitator import LABELS, Imitator
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.nodes import merged_parameters

RATE_HZ = 50
TIME = np.arange(10 * RATE_HZ) / RATE_HZ
SMILES = np.sin(np.pi * TIME / 2) ** 4  # five, from 0 to 1


def at(rows, delay_s):
    """Rows of which row t is what happens `delay_s` after it."""
    shift = round(delay_s * RATE_HZ)
    return rows[np.clip(np.arange(len(rows)) + shift, 0, len(rows) - 1)]


def late(rows, delay_s):
    return at(rows, -delay_s)


def blink(*times_s):
    return np.clip(sum(np.exp(-(((TIME - t) / 0.06) ** 2)) for t in times_s), 0, 1)


def pair(left, right):
    return np.stack([left, right], axis=1)


def test_an_equal_copy_has_gain_concordance_and_apex_1_and_no_offset():
    found = size.size(SMILES, SMILES, RATE_HZ)
    assert found.gain == pytest.approx(1) and found.ccc == pytest.approx(1)
    assert found.apex == pytest.approx(1) and found.apexes == 5
    assert found.rest == pytest.approx(0, abs=0.01)


def test_a_half_size_copy_has_gain_and_apex_of_a_half_although_it_correlates_fully():
    found = size.sizes(['smile'], SMILES[:, None], lambda d: at(SMILES[:, None] / 2, d), RATE_HZ)
    assert found.correlation == pytest.approx(1)
    assert found.by_name['smile'].gain == pytest.approx(0.5)
    assert found.by_name['smile'].apex == pytest.approx(0.5)
    assert found.by_name['smile'].ccc < 0.75


def test_a_delayed_copy_has_gain_1_at_its_delay():
    shown = late(SMILES[:, None], 0.2)
    found = size.sizes(['smile'], SMILES[:, None], lambda d: at(shown, d), RATE_HZ)
    assert found.delay_s == pytest.approx(0.2)
    assert found.by_name['smile'].gain == pytest.approx(1, abs=0.01)
    assert found.by_name['smile'].ccc == pytest.approx(1, abs=0.01)


def test_delays_are_searched_from_0_to_0_8_s():
    shown = late(SMILES[:, None], 1.0)
    found = size.sizes(['smile'], SMILES[:, None], lambda d: at(shown, d), RATE_HZ)
    assert found.delay_s == pytest.approx(0.8)


def test_an_offset_shows_in_rest_and_concordance_and_not_in_the_gain():
    found = size.size(SMILES, SMILES + 0.2, RATE_HZ)
    assert found.gain == pytest.approx(1)
    assert found.rest == pytest.approx(0.2, abs=0.02)
    assert found.ccc < 0.9


def test_a_constant_robot_has_gain_0_and_reaches_no_apex():
    found = size.size(SMILES, np.zeros_like(SMILES), RATE_HZ)
    assert (found.gain, found.apex, found.rest) == (0, 0, 0)


def test_a_signal_that_hardly_moves_is_not_measured():
    human = np.stack([SMILES, 0.1 * SMILES], axis=1)
    found = size.sizes(['smile', 'frown'], human, lambda d: at(human, d), RATE_HZ)
    assert list(found.by_name) == ['smile']


def test_nothing_is_measured_where_nothing_moves():
    still = np.zeros((100, 1))
    found = size.sizes(['smile'], still, lambda _: still, RATE_HZ)
    assert found.by_name == {} and np.isnan(found.delay_s)
    assert all(np.isnan(value) for value in found.means().values())


def test_apexes_are_of_both_signs_and_a_movement_the_other_way_counts_against():
    swing = np.where(TIME < 4, SMILES, -SMILES)
    assert {sign for _, sign in size.apexes(swing)} == {1, -1}
    assert size.size(swing, -swing, RATE_HZ).apex < 0.1


def test_a_small_extreme_is_no_apex():
    assert size.apexes(0.24 * SMILES) == []


def test_an_apex_that_comes_within_0_3_s_counts_and_is_never_worth_more_than_one_and_a_half():
    assert size.size(SMILES, late(SMILES, 0.25), RATE_HZ).apex > 0.98
    assert size.size(SMILES, 3 * SMILES, RATE_HZ).apex == pytest.approx(1.5)


def test_blinks_are_shown_when_the_lids_reach_most_of_them_in_time():
    person = blink(2, 4, 6)
    robot = blink(2.2) + 0.5 * blink(4) + blink(6.6)
    found = size.lids(pair(person, person), pair(robot, robot), RATE_HZ)
    assert (found.blinks, found.blinks_shown) == (3, 1)
    assert found.invented == 1  # the one that came much too late
    assert found.minutes == pytest.approx(1 / 6)
    assert json.loads(json.dumps(asdict(found)))['blinks_shown'] == 1


def test_half_closed_lids_are_no_blink():
    person = 0.45 * blink(2, 4)
    found = size.lids(pair(person, person), pair(person, person), RATE_HZ)
    assert (found.blinks, found.invented) == (0, 0)


def test_a_wink_is_kept_apart_only_when_the_other_eye_stays_open():
    open_eye = np.zeros_like(TIME)
    human = pair(blink(2, 5), open_eye) + pair(open_eye, blink(8))
    robot = pair(blink(2, 5), blink(5)) + pair(open_eye, blink(8))
    found = size.lids(human, robot, RATE_HZ)
    assert (found.winks, found.winks_apart) == (3, 2)


def test_rates_are_shares_of_all_blinks_and_not_means_of_clips():
    found = size.lid_rates([size.Lids(9, 9, 0, 0, 0, 1.0), size.Lids(1, 0, 2, 0, 0, 1.0)])
    assert found['blinks_shown'] == pytest.approx(0.9)
    assert found['blinks_invented_per_min'] == pytest.approx(1.0)
    assert np.isnan(found['winks_apart'])


def points(gap):
    face = np.zeros((478, 3))
    face[33, 0], face[263, 0] = -50, 50
    for upper, lower in ((13, 14), (82, 87), (312, 317)):
        face[upper, 1], face[lower, 1] = 60 - gap / 2, 60 + gap / 2
    return face


def turned(face, yaw):
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return (face * (1, -1, -1)) @ turn.T * (1, -1, -1), turn


def test_the_aperture_of_a_mouth_does_not_change_when_the_head_turns():
    front = mouth_aperture(points(17.5)[None], np.eye(3)[None])
    face, pose = turned(points(17.5), 0.6)
    assert front == pytest.approx(0.5)
    assert mouth_aperture(face[None], pose[None]) == pytest.approx(front)


def test_the_largest_aperture_of_a_person_is_1():
    faces = np.stack([points(0), points(20), points(50)])
    assert mouth_aperture(faces, np.stack([np.eye(3)] * 3)) == pytest.approx([0, 0.4, 1])


def test_the_sizes_are_measured_by_joint_and_by_channel_and_written_as_json():
    imitator = Imitator(load_robot('sim_face'), merged_parameters())
    human = np.zeros((len(TIME), len(CHANNELS)))
    human[:, CHANNELS.index('jaw_open')] = SMILES
    stamps = np.round(TIME * 1e9).astype(np.int64)
    scores = [FrameScore(i, stamp, None) for i, stamp in enumerate(stamps.tolist())]
    valid = np.ones(len(TIME), np.bool_)
    made = Clip('made', stamps, human, valid, [None] * len(TIME), scores, scores)
    found = imitator.measure(made, 'every_frame', LABELS)
    assert found.sizes is not None
    jaw = found.sizes.joints.by_name['jaw']
    assert jaw.gain == pytest.approx(1, abs=0.05) and jaw.apex == pytest.approx(1, abs=0.05)
    assert set(found.sizes.channels.by_name) == {'jaw_open'}
    by_method = {'every_frame': {'made': found}}
    text = json.dumps(results.as_json(by_method, 'sim_face', 'labels', imitator.settings))
    document = json.loads(text)
    of_clip = document['methods']['every_frame']['made']['sizes']
    assert of_clip['joints']['by_name']['jaw']['gain'] == pytest.approx(jaw.gain)
    assert document['means']['every_frame']['gain'] == pytest.approx(jaw.gain)
    assert set(document['sizes']['every_frame']) == {'joint jaw', 'channel jaw_open'}
    assert results.size_table(by_method).row_count == 1
    assert results.signal_table(by_method, 'every_frame').row_count == 2
    # A terminal of 100 columns cut "correla…".
    longest = {name: by_method['every_frame'] for name in imitator.methods()}
    text = io.StringIO()
    Console(file=text, width=100).print(
        results.size_table(longest), results.results_table(longest, 'sim_face', 1, 'labels')
    )
    assert 'combined' in text.getvalue() and '…' not in text.getvalue()
    assert text.getvalue().count('┓\n') == 2
