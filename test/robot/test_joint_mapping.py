from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, UNIT_CHANNELS, Expression, Shapes
from kf_imitation.robot import Combination, load_robot
from kf_imitation.robot.joint_mapping import JointMapping

ROBOT = load_robot('sim_face')
MAPPING = JointMapping(ROBOT)


def expression(**channels):
    values = np.zeros(len(CHANNELS), np.float32)
    for name, value in channels.items():
        values[CHANNELS.index(name)] = value
    return Expression(1, values, np.ones(len(CHANNELS), np.float32))


def goal(joint, **channels):
    return MAPPING.goals(expression(**channels))[ROBOT.names.index(joint)]


def test_neutral_is_neutral():
    assert MAPPING.goals(expression()) == pytest.approx(MAPPING.neutral_rad)


def test_a_channel_moves_its_joint_by_alpha():
    assert goal('lips', mouth_pucker=1.0) == pytest.approx(0.4)
    assert goal('mouth_corner_left', mouth_smile_left=0.5) == pytest.approx(0.25)
    assert goal('brow_right', brow_lower=1.0) == pytest.approx(-0.35)


def test_goals_stay_inside_the_limits():
    assert goal('neck_yaw', head_yaw=3.0) == pytest.approx(0.9)
    assert goal('jaw', jaw_open=7.0) == pytest.approx(0.5)


def test_values_that_are_no_numbers_count_as_neutral():
    assert goal('jaw', jaw_open=np.nan) == 0.0
    assert goal('neck_yaw', head_yaw=np.inf) == 0.0


def test_opposite_channels_of_one_joint_are_told_apart():
    position = np.array(MAPPING.neutral_rad)
    position[ROBOT.names.index('mouth_corner_left')] = -0.2
    channels = dict(zip(CHANNELS, MAPPING.channels(position), strict=True))
    assert channels['mouth_frown_left'] == pytest.approx(0.5, abs=0.01)
    assert channels['mouth_smile_left'] == 0.0


def test_channels_the_head_cannot_show_stay_zero():
    pucker = CHANNELS.index('mouth_pucker')
    small = JointMapping(load_robot('xl330_face'))
    assert not small.used[pucker]
    assert small.channels(small.neutral_rad + 0.1)[pucker] == 0.0


def test_the_simulated_face_can_show_every_channel():
    assert MAPPING.used.all()
    assert goal('lips', mouth_pucker=1.0) == pytest.approx(0.4)
    assert goal('lips', lip_press=1.0) == pytest.approx(-0.35)


# One of two opposite channels at a time: a joint cannot show both.
SIDES = st.lists(st.floats(-1, 1), min_size=19, max_size=19)


@settings(max_examples=60, deadline=None)
@given(SIDES)
def test_the_inverse_gives_the_channels_back(values):
    shown = {name: abs(v) for name, v in zip(CHANNELS, values, strict=True)}
    for side in ('left', 'right'):
        shown[f'mouth_frown_{side}'] = 0.0
        shown[f'eye_wide_{side}'] = 0.0
        shown[f'brow_raise_{side}'] = 0.0
    shown['lip_press'] = 0.0
    for name, limit in (('gaze_yaw', 0.5), ('gaze_pitch', 0.4), ('head_yaw', 0.9)):
        shown[name] = values[CHANNELS.index(name)] * limit
    shown['head_pitch'] = values[CHANNELS.index('head_pitch')] * 0.5
    shown['head_roll'] = values[CHANNELS.index('head_roll')] * 0.45
    back = MAPPING.channels(MAPPING.goals(expression(**shown)))
    for index, name in enumerate(CHANNELS):
        expected = shown[name] if MAPPING.used[index] else 0.0
        assert back[index] == pytest.approx(expected, abs=0.01), name
    assert (back[: len(UNIT_CHANNELS)] >= 0).all()


def head(channels, **more):
    """A mapping of sim_face whose joints are moved by these channels alone."""
    still = {'channels': {}}
    joints = tuple(replace(j, **(still | channels.get(j.name, {}))) for j in ROBOT.joints)
    return JointMapping(replace(ROBOT, joints=joints, **more))


def shaped(**values):
    shapes = np.zeros(len(BLENDSHAPES), np.float32)
    for name, value in values.items():
        shapes[BLENDSHAPES.index(name)] = value
    return replace(expression(), shapes=Shapes(shapes, np.ones_like(shapes)))


def test_a_blendshape_moves_a_joint():
    mapping = head({'lips': {'channels': {'mouthStretchLeft': 0.3}}})
    lips = ROBOT.names.index('lips')
    assert mapping.goals(shaped(mouthStretchLeft=0.5))[lips] == pytest.approx(0.15)
    assert mapping.goals(expression(mouth_pucker=1.0))[lips] == 0.0


def test_an_expression_without_blendshapes_has_those_that_its_channels_make():
    mapping = head({'lips': {'channels': {'mouthPucker': 0.4}}})
    position = mapping.goals(expression(mouth_pucker=0.5))
    assert position[ROBOT.names.index('lips')] == pytest.approx(0.2)
    assert mapping.used[CHANNELS.index('mouth_pucker')]
    shown = mapping.channels(position)
    assert shown[CHANNELS.index('mouth_pucker')] == pytest.approx(0.5, abs=0.01)


def test_a_pose_shows_blendshapes_beside_channels():
    channels, shapes = MAPPING.shown(MAPPING.goals(expression(jaw_open=0.4, gaze_yaw=0.2)))
    assert channels == pytest.approx(
        MAPPING.channels(MAPPING.goals(expression(jaw_open=0.4, gaze_yaw=0.2)))
    )
    value = dict(zip(BLENDSHAPES, shapes.tolist(), strict=True))
    assert value['jawOpen'] == pytest.approx(0.4, abs=0.01)
    assert max(value['eyeLookInLeft'], value['eyeLookOutLeft']) > 0.1
    assert value['mouthSmileLeft'] == pytest.approx(0.0, abs=0.01)
    shown = dict(zip(BLENDSHAPES, MAPPING.used_shapes.tolist(), strict=True))
    assert shown['jawOpen'] and shown['eyeLookUpLeft'] and shown['eyeLookDownLeft']
    assert not shown['cheekPuff']


def test_both_brows_show_their_blendshapes():
    """browInnerUp belongs to both, and the left one took what the right one was to share."""
    up = MAPPING.goals(expression(brow_raise_left=0.5, brow_raise_right=0.5))
    value = dict(zip(BLENDSHAPES, MAPPING.shown(up)[1].tolist(), strict=True))
    for name in ('browInnerUp', 'browOuterUpLeft', 'browOuterUpRight'):
        assert value[name] == pytest.approx(0.5, abs=0.01), name
        assert MAPPING.used_shapes[BLENDSHAPES.index(name)]


def test_a_channel_moves_a_joint_by_points_and_back():
    points = ((0.0, 0.0), (0.3, 0.05), (1.0, 0.4))
    jaw = {'channels': {'jaw_open': 0.4}, 'curves': {'jaw_open': points}}
    mapping = head({'jaw': jaw})
    for value, rad in ((0.0, 0.0), (0.15, 0.025), (0.3, 0.05), (0.65, 0.225), (1.0, 0.4)):
        position = mapping.goals(expression(jaw_open=value))
        assert position[ROBOT.names.index('jaw')] == pytest.approx(rad)
        back = mapping.channels(position)
        assert back[CHANNELS.index('jaw_open')] == pytest.approx(value, abs=0.01)


def test_lids_and_jaw_that_are_told_a_direction_go_as_far_as_peoples():
    """An eye_close of 0.75 is a shut eye, and lids stopped at three quarters of their way."""
    lid, jaw = -0.65, 0.5  # their limits
    assert goal('eyelid_left', eye_close_left=1.0) == pytest.approx(lid)
    assert goal('eyelid_left', eye_close_left=0.75) < 0.95 * lid
    assert goal('eyelid_left', eye_close_left=0.1) > 0.05 * lid
    assert goal('jaw', jaw_open=0.2) > 0.25 * jaw  # people talk with it
    assert goal('jaw', jaw_open=0.04) < 0.02 * jaw  # and mouths that are shut are read so


@pytest.mark.parametrize('name', ['sim_face', 'xl330_face', 'face22', 'face25'])
def test_a_pose_says_which_channels_made_it(name):
    mapping, rng = JointMapping(load_robot(name)), np.random.default_rng(1)
    for _ in range(30):
        shown = rng.uniform(0, 0.9, len(CHANNELS)) * (rng.random(len(CHANNELS)) < 0.4)
        made = np.where(mapping.used, shown, 0.0).astype(np.float32)
        pose = mapping.goals(Expression(1, made, np.ones_like(made)))
        read = mapping.channels(pose)
        again = mapping.goals(Expression(1, read, np.ones_like(read)))
        assert again == pytest.approx(pose, abs=1e-4)


@pytest.mark.parametrize(
    ('joint', 'channel', 'points'),
    [
        ('eyelid_left', 'eye_close_left', ((0.0, 0.0), (0.3, 0.0), (1.0, -0.6))),
        ('gaze_yaw', 'gaze_yaw', ((-0.5, -0.4), (-0.1, 0.0), (0.1, 0.0), (0.5, 0.4))),
    ],
)
def test_a_joint_at_rest_shows_nothing_however_late_its_curve_leaves_it(joint, channel, points):
    """The far end of the flat part was read: an eye hung half shut beside open lids."""
    moves = {joint: {'channels': {channel: points[-1][1]}, 'curves': {channel: points}}}
    mapping, place = head(moves), CHANNELS.index(channel)
    for noise in (0.0, 0.002, -0.002):
        pose = mapping.neutral_rad + noise
        assert mapping.channels(pose)[place] == 0.0
    pose = mapping.goals(expression(**{channel: 0.4}))
    assert mapping.channels(pose)[place] == pytest.approx(0.4, abs=0.01)


def test_inputs_that_move_several_joints_by_several_curves_are_all_found():
    """Steps towards one group of joints were cut short with those of another."""
    rng = np.random.default_rng(5)
    inputs = ('eye_close_left', 'jaw_open', 'brow_raise_left', 'mouth_smile_left')
    for _ in range(20):
        free = {'limits_rad': (-3.0, 3.0)}
        moves = {name: {'channels': {}, 'curves': {}} | free for name in ROBOT.names}
        for channel in inputs:
            for name in rng.choice(ROBOT.names, 2, replace=False).tolist():
                at = [0.0, *np.sort(rng.uniform(0.05, 0.95, 3)), 1.0]
                rad = rng.choice([-0.3, 0.3]) * np.cumsum([0.0, *rng.uniform(0, 0.3, 4)])
                moves[name]['curves'][channel] = tuple(zip(at, rad, strict=True))
                moves[name]['channels'][channel] = rad[-1]
        mapping = head(moves)
        pose = mapping.goals(expression(**{c: float(rng.uniform(0, 1)) for c in inputs}))
        read = mapping.channels(pose)
        again = mapping.goals(Expression(1, read, np.ones_like(read)))
        assert again == pytest.approx(pose, abs=0.01)


def test_a_pose_is_read_back_through_curves_of_any_shape():
    """Curves that are steep amidst sent the way back to and fro between their ends."""
    rng = np.random.default_rng(2)

    def curve(way):
        at = [0.0, *np.sort(rng.uniform(0.05, 0.95, 3)), 1.0]
        rad = way * np.cumsum([0.0, *rng.choice([0.0, 0.02, 0.1, 0.4], 3), 0.3])
        return tuple(zip(at, rad, strict=True))

    for _ in range(40):
        upper, lower = curve(-0.5), curve(0.3)
        mapping = head(
            {
                'eyelid_left': {
                    'channels': {'eye_close_left': upper[-1][1], 'eye_wide_left': 0.2},
                    'curves': {'eye_close_left': upper},
                },
                'jaw': {
                    'channels': {'eye_close_left': lower[-1][1]},
                    'curves': {'eye_close_left': lower},
                },
            }
        )
        value = float(rng.uniform(0, 1))
        pose = mapping.goals(expression(eye_close_left=value))
        read = float(mapping.channels(pose)[CHANNELS.index('eye_close_left')])
        assert read <= value + 0.01  # the smallest where a curve is flat
        assert mapping.goals(expression(eye_close_left=read)) == pytest.approx(pose, abs=1e-3)


def test_channels_change_each_other_by_the_rules_of_the_robot_file():
    rules = (
        Combination('lip_press', {}, {'jaw_open': 1.0}),
        Combination('eye_wide_left', {'brow_raise_left': 0.5}, {}),
    )
    mapping = JointMapping(replace(ROBOT, combinations=rules))

    def at(joint, **channels):
        return mapping.goals(expression(**channels))[ROBOT.names.index(joint)]

    assert at('lips', lip_press=1.0) == pytest.approx(-0.35)
    assert at('lips', lip_press=1.0, jaw_open=0.5) == pytest.approx(-0.175)
    assert at('eyelid_left', brow_raise_left=0.8) == pytest.approx(0.4 * 0.2)
    assert at('eyelid_left', brow_raise_left=1.0, eye_wide_left=0.9) == pytest.approx(0.2)
