"""Channels of drawn faces: neutral is zero, pose and scale do not matter, unsure values hold."""

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS, UNIT_CHANNELS, CameraModel, HeadPose, Landmarks
from kf_imitation.evaluation.channel_labels import label_channels
from kf_imitation.expression.calibration import REST, Calibration
from kf_imitation.expression.channels import SOURCES, TURNED, channel_confidence, raw_channels
from kf_imitation.expression.keyframe_estimator import UNSEEN, ExpressionEstimator
from kf_imitation.expression.one_euro import OneEuroFilter
from kf_imitation.face_geometry.head_pose import (
    MEAN_FACE_M,
    camera_matrix,
    rotation_of,
    solve_head_pose,
)
from kf_imitation.face_geometry.wflw import FLIP, LEFT_BROW, RIGHT_BROW
from kf_imitation.parameters.settings import ExpressionSettings, OneEuroSettings

CAMERA = CameraModel(640, 480, 554.0)
UNIT = [CHANNELS.index(name) for name in UNIT_CHANNELS]
MS = 1_000_000


def neutral_face():
    """The mean face with its mouth closed: the average of the train clips talks a little."""
    face = MEAN_FACE_M.copy()
    middle = (face[[89, 90, 91], 1] + face[[95, 94, 93], 1]) / 2
    face[[89, 90, 91], 1] = middle - 0.0003
    face[[95, 94, 93], 1] = middle + 0.0003
    return face


def look(face, yaw=0.0, pitch=0.0, roll=0.0, shift=(0.0, 0.0, 0.6), stamp_ns=0):
    seen = face @ rotation_of(yaw, pitch, roll).astype(np.float64).T + np.array(shift)
    pixels = (seen / seen[:, 2:]) @ camera_matrix(CAMERA).T
    return Landmarks(stamp_ns, pixels[:, :2].astype(np.float32), np.ones(98, np.float32))


def raw_of(landmarks):
    return raw_channels(landmarks, solve_head_pose(landmarks, CAMERA, corrected=False))


def own_calibration(face=None):
    """A person whose neutral is the given face."""
    raw = raw_of(look(neutral_face() if face is None else face))
    default = Calibration.default()
    return Calibration('test', raw, raw + default.extreme - default.neutral)


def values_of(landmarks, calibration=None):
    pose = solve_head_pose(landmarks, CAMERA, corrected=False)
    estimator = ExpressionEstimator(calibration or own_calibration())
    values = estimator.update(landmarks, pose).values
    return dict(zip(CHANNELS, values.tolist(), strict=True))


def test_a_neutral_face_is_zero():
    values = values_of(look(neutral_face()))
    assert max(abs(v) for v in values.values()) < 1e-3


@pytest.mark.parametrize(
    'where',
    [
        {'shift': (0.0, 0.0, 1.2)},
        {'shift': (0.15, -0.1, 0.6)},
        {'roll': 0.4},
        {'yaw': 0.3},
        {'yaw': -0.3, 'pitch': 0.2},
    ],
)
def test_neutral_stays_neutral_wherever_the_head_is(where):
    values = values_of(look(neutral_face(), **where))
    assert max(values[name] for name in UNIT_CHANNELS) < 0.2, values


def test_an_open_jaw_is_an_open_jaw():
    face = neutral_face()
    face[[93, 94, 95], 1] += 0.022
    face[[83, 84, 85, 86, 87], 1] += 0.02
    face[8:25, 1] += 0.018
    values = values_of(look(face))
    assert values['jaw_open'] > 0.3
    assert values['eye_close_left'] < 0.05 and values['brow_raise_left'] < 0.05


@pytest.mark.parametrize('side', ['left', 'right'])
def test_one_closed_eye_is_that_eye(side):
    face = neutral_face()
    upper, lower = ((69, 70, 71), (75, 74, 73)) if side == 'left' else ((61, 62, 63), (67, 66, 65))
    face[list(upper)] = face[list(lower)] - [0, 0.0008, 0]
    values = values_of(look(face))
    other = 'right' if side == 'left' else 'left'
    assert values[f'eye_close_{side}'] > 0.4
    assert values[f'eye_close_{side}'] > 2 * values[f'eye_close_{other}']


@pytest.mark.parametrize('channel', ['smile', 'brow'])
def test_mirrored_faces_have_mirrored_channels(channel):
    face = neutral_face()
    if channel == 'smile':
        face[82] += [0.006, -0.006, 0]
        face[92] += [0.006, -0.006, 0]
    else:
        face[42:51, 1] -= 0.006
    plain = values_of(look(face))
    mirror = values_of(look(face[FLIP] * [-1, 1, 1]))
    for name in CHANNELS:
        twin = name.replace('left', 'R').replace('right', 'left').replace('R', 'right')
        sign = -1 if name in ('gaze_yaw', 'head_yaw', 'head_roll') else 1
        assert mirror[twin] == pytest.approx(sign * plain[name], abs=0.02), name


def test_head_angles_are_those_of_the_pose():
    values = values_of(look(neutral_face(), yaw=0.3, pitch=-0.2, roll=0.1))
    assert values['head_yaw'] == pytest.approx(0.3, abs=0.02)
    # Read off pictures, pitch is too small; the factor of models/channel_size.yaml is for that.
    assert values['head_pitch'] == pytest.approx(1.3 * -0.2, abs=0.04)
    assert values['head_roll'] == pytest.approx(0.1, abs=0.02)


def test_pupils_to_the_left_look_left():
    face = neutral_face()
    face[[96, 97], 0] += 0.004
    assert values_of(look(face))['gaze_yaw'] > 0.1


def test_every_channel_has_its_points():
    assert set(SOURCES) == set(CHANNELS)
    landmarks = look(neutral_face())
    confidence = landmarks.confidence.copy()
    confidence[list(SOURCES['jaw_open'])] = 0.1
    sure = channel_confidence(Landmarks(0, landmarks.points_px, confidence))
    assert sure[CHANNELS.index('jaw_open')] == pytest.approx(0.1, abs=1e-6)
    assert sure[CHANNELS.index('eye_close_left')] == pytest.approx(1.0)


def test_a_hidden_mouth_holds_then_relaxes():
    face = neutral_face()
    face[[93, 94, 95], 1] += 0.025
    face[8:25, 1] += 0.02
    estimator = ExpressionEstimator(own_calibration(), hold_s=1.0, relax_s=0.5)
    jaw = CHANNELS.index('jaw_open')

    def push(now_ms, confidence, shown):
        seen = look(shown)
        hidden = np.ones(98, np.float32)
        hidden[list(SOURCES['jaw_open'])] = confidence
        landmarks = Landmarks(now_ms * MS, seen.points_px, hidden)
        pose = solve_head_pose(landmarks, CAMERA, corrected=False)
        return estimator.update(landmarks, pose)

    opened = float(push(0, 1.0, face).values[jaw])
    assert opened > 0.2
    held = push(900, 0.1, neutral_face())
    assert float(held.values[jaw]) == pytest.approx(opened)
    assert float(held.confidence[jaw]) == pytest.approx(0.1)
    later = float(push(1500, 0.1, neutral_face()).values[jaw])
    assert later == pytest.approx(opened * np.exp(-0.5 / 0.5), rel=1e-3)
    much_later = float(push(9000, 0.1, neutral_face()).values[jaw])
    assert much_later < 0.01
    assert float(push(9100, 1.0, face).values[jaw]) == pytest.approx(opened, abs=1e-5)


def test_the_first_face_may_be_unsure():
    seen = look(neutral_face())
    unsure = Landmarks(0, seen.points_px, np.zeros(98, np.float32))
    pose = solve_head_pose(unsure, CAMERA)
    expression = ExpressionEstimator(None).update(unsure, pose)
    assert (expression.values == 0).all() and (expression.confidence == 0).all()


def lids_of(minimum, *confidences):
    """Closure of the left lid, and its confidence, in keyframes of a shut face of these."""
    estimator = ExpressionEstimator(
        own_calibration(), ExpressionSettings(minimum, learn_neutral=False)
    )
    face, found = neutral_face(), []
    face[61:64, 1] = face[65:68, 1] = face[61:68:2, 1].mean()
    face[69:72, 1] = face[73:76, 1] = face[69:76:2, 1].mean()
    lid = [CHANNELS.index(f'eye_close_{side}') for side in ('left', 'right')]
    for number, confidence in enumerate(confidences):
        seen = look(face)
        landmarks = Landmarks(
            number * 200 * MS, seen.points_px, np.full(98, confidence, np.float32)
        )
        said = estimator.update(landmarks, solve_head_pose(seen, CAMERA))
        assert (said.confidence[lid] > UNSEEN).all() == (said.values[lid] > 0.5).all()
        found.append(bool((said.values[lid] > 0.5).all()))
    return found


@pytest.mark.parametrize('minimum', [0.3, 0.46, 0.6, 0.95])
def test_eyes_are_seen_with_any_minimum_of_confidence(minimum):
    assert lids_of(minimum, 1.0) == [True]
    assert lids_of(minimum, minimum - 0.01) == [False]


def test_one_lucky_look_through_dark_glasses_does_not_show_eyes_but_two_do():
    assert lids_of(0.3, 0.05, 0.7, 0.05, 0.7, 0.05) == [False] * 5
    assert lids_of(0.3, 0.7, 0.5, 0.7, 0.5) == [False, False, True, True]
    assert lids_of(0.1, 0.3, 0.3, 0.2) == [False, True, True]  # seen, and said to be


def test_reset_forgets_the_person():
    face = neutral_face()
    face[33:51, 1] -= 0.004
    first, again = look(face), look(face)
    estimator = ExpressionEstimator(None)
    pose = solve_head_pose(first, CAMERA)
    fresh = estimator.update(first, pose).values
    for _ in range(30):
        estimator.update(first, pose)
    estimator.reset()
    assert np.array_equal(estimator.update(again, pose).values, fresh)


def test_one_euro_is_still_at_rest_and_quick_on_the_move():
    rng = np.random.default_rng(0)
    smooth = OneEuroFilter(OneEuroSettings(cutoff_hz=1.5))
    noise = rng.normal(0, 0.02, 200)
    quiet = [float(smooth.push(i * 33 * MS, np.array([x]))[0]) for i, x in enumerate(noise)]
    assert np.std(quiet[50:]) < 0.6 * np.std(noise)
    step = [float(smooth.push((200 + i) * 33 * MS, np.array([1.0]))[0]) for i in range(10)]
    assert step[4] > 0.9
    assert smooth.push(209 * 33 * MS, np.array([5.0]))[0] == step[-1]  # no time passed


def test_labels_become_channels_by_the_table():
    names = [
        '_neutral', 'jawOpen', 'mouthSmileLeft', 'mouthSmileRight', 'mouthFrownLeft',
        'mouthFrownRight', 'mouthPucker', 'mouthFunnel', 'mouthPressLeft', 'mouthPressRight',
        'eyeBlinkLeft', 'eyeBlinkRight', 'eyeWideLeft', 'eyeWideRight', 'browInnerUp',
        'browOuterUpLeft', 'browOuterUpRight', 'browDownLeft', 'browDownRight', 'eyeLookInLeft',
        'eyeLookOutLeft', 'eyeLookInRight', 'eyeLookOutRight', 'eyeLookUpLeft', 'eyeLookUpRight',
        'eyeLookDownLeft', 'eyeLookDownRight',
    ]  # fmt: skip
    values = dict.fromkeys(names, 0.0) | {
        'jawOpen': 0.4, 'mouthSmileLeft': 0.3, 'mouthPucker': 0.1, 'mouthFunnel': 0.2,
        'mouthPressLeft': 0.2, 'mouthPressRight': 0.4, 'browInnerUp': 0.5,
        'browOuterUpRight': 0.7, 'browDownLeft': 0.2, 'eyeLookOutLeft': 0.6,
        'eyeLookInRight': 0.4, 'eyeLookDownLeft': 0.2, 'eyeLookDownRight': 0.4,
    }  # fmt: skip
    flip = np.diag([1.0, -1.0, -1.0])
    pose = np.eye(4)
    pose[:3, :3] = flip @ rotation_of(0.3, 0.2, -0.1) @ flip
    row = label_channels(np.array([[values[n] for n in names]]), names, pose[None])[0]
    got = dict(zip(CHANNELS, row.tolist(), strict=True))
    wanted = {
        'jaw_open': 0.4, 'mouth_smile_left': 0.3, 'mouth_smile_right': 0.0, 'mouth_pucker': 0.2,
        'lip_press': 0.3, 'brow_raise_left': 0.5, 'brow_raise_right': 0.7, 'brow_lower': 0.1,
        'gaze_yaw': 0.25, 'gaze_pitch': -0.15, 'head_yaw': 0.3, 'head_pitch': 0.2,
        'head_roll': -0.1,
    }  # fmt: skip
    for name, value in wanted.items():
        assert got[name] == pytest.approx(value, abs=1e-5), name


def test_rest_levels_are_before_the_sigmoid():
    assert (REST[UNIT] < 0).all()


def open_mouth():
    face = neutral_face()
    face[[93, 94, 95], 1] += 0.025
    face[8:25, 1] += 0.02
    return face


def jaw_over_time(estimator, shown, begin_ms=0):
    pose = solve_head_pose(look(neutral_face()), CAMERA, corrected=False)
    jaw = CHANNELS.index('jaw_open')
    values = []
    for i, face in enumerate(shown):
        seen = look(face)
        landmarks = Landmarks((begin_ms + 33 * i) * MS, seen.points_px, seen.confidence)
        values.append(float(estimator.update(landmarks, pose).values[jaw]))
    return values


def test_gains_change_while_the_estimator_runs_and_end_at_one():
    estimator = ExpressionEstimator(own_calibration())
    (plain,) = jaw_over_time(estimator, [open_mouth()])
    gains = dict.fromkeys(CHANNELS, 1.0)

    def with_gain(gain, begin_ms):
        estimator.configure(ExpressionSettings(gain={**gains, 'jaw_open': gain}))
        return jaw_over_time(estimator, [open_mouth()], begin_ms)[0]

    assert with_gain(0.5, 100) == pytest.approx(plain / 2)
    assert with_gain(0.0, 200) == 0
    assert with_gain(3.0, 300) == pytest.approx(min(1.0, 3 * plain))


def test_the_filter_can_be_put_in_and_taken_out_while_the_estimator_runs():
    estimator = ExpressionEstimator(own_calibration())
    step = [neutral_face()] * 3 + [open_mouth()] * 2
    plain = jaw_over_time(estimator, step)
    assert plain[3] == pytest.approx(plain[4])
    estimator.configure(ExpressionSettings(filter=OneEuroSettings(0.5, 0.0)))
    slow = jaw_over_time(estimator, step, 1000)
    assert slow[3] < 0.5 * plain[3] and slow[3] < slow[4] < plain[4]
    estimator.configure(ExpressionSettings(filter=OneEuroSettings(5.0, 0.0)))
    quicker = jaw_over_time(estimator, step, 2000)
    assert slow[4] < quicker[4] < plain[4]
    estimator.configure(ExpressionSettings())
    assert jaw_over_time(estimator, step, 3000) == pytest.approx(plain, abs=1e-6)


def test_what_turning_adds_is_taken_off_alike_on_both_sides():
    face = Landmarks(
        0, (MEAN_FACE_M[:, :2] * 2000 + 300).astype(np.float32), np.ones(98, np.float32)
    )

    def taken_off(yaw, pitch):
        place = np.array([0, 0, 1], np.float32)
        turned = HeadPose(0, np.eye(3, dtype=np.float32), place, yaw, pitch, 0.0, 0.0)
        return raw_channels(face, turned, turning=False) - raw_channels(face, turned)

    assert not taken_off(0.0, 0.0).any()
    side = taken_off(0.4, 0.1)
    other = taken_off(-0.4, 0.1)
    moved = {CHANNELS[k] for k in np.flatnonzero(side)}
    assert moved == {f'{base}_{s}' for base in TURNED for s in ('left', 'right')}
    for base in TURNED:
        left, right = (CHANNELS.index(f'{base}_{s}') for s in ('left', 'right'))
        assert side[left] == pytest.approx(other[right])
        assert side[right] == pytest.approx(other[left])
    assert taken_off(2.0, 1.0) == pytest.approx(taken_off(0.7, 0.35))  # no further than the fit


def test_without_learning_the_same_face_is_read_the_same_for_ever():
    estimator = ExpressionEstimator(None, ExpressionSettings(learn_neutral=False))
    face = neutral_face()
    face[[*LEFT_BROW, *RIGHT_BROW], 1] -= 0.004
    read = []
    for frame in range(30):
        landmarks = look(face, stamp_ns=frame * 100 * MS)
        read.append(estimator.update(landmarks, solve_head_pose(landmarks, CAMERA)).values)
    assert np.array_equal(read[0], read[-1]) and estimator.neutral() == (0.0, {})
    learning = ExpressionEstimator(None)
    for frame in range(30):
        landmarks = look(face, stamp_ns=frame * 100 * MS)
        last = learning.update(landmarks, solve_head_pose(landmarks, CAMERA)).values
    belief, shift = learning.neutral()
    assert belief > 0.7 and shift['brow_raise_left'] > 0.0
    assert last[CHANNELS.index('brow_raise_left')] < read[-1][CHANNELS.index('brow_raise_left')]
