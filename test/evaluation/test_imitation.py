"""Methods of the imitation evaluation on a made-up clip with perfect channels."""

import json

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS, FaceRegion, FrameScore, HeadPose, Landmarks
from kf_imitation.evaluation.imitation import figures, results
from kf_imitation.evaluation.imitation.clip import Clip
from kf_imitation.evaluation.imitation.imitator import LABELS, LANDMARKS, Imitator
from kf_imitation.evaluation.imitation.methods import Pose, uniform_poses
from kf_imitation.evaluation.imitation.rests import with_rests
from kf_imitation.evaluation.imitation.tuning import Trial, search, tuning_table
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.nodes import merged_parameters

FPS = 25


def clip(seconds=4.0):
    """A jaw that opens and closes twice, with the scores of its speed."""
    count = round(seconds * FPS)
    time = np.arange(count) / FPS
    human = np.zeros((count, len(CHANNELS)))
    human[:, CHANNELS.index('jaw_open')] = np.sin(np.pi * time / 2) ** 2
    human[:, CHANNELS.index('mouth_smile_left')] = 0.3
    speed = np.abs(np.sin(np.pi * time))  # of the jaw, 0..1
    region = FaceRegion(0, 0, 10)
    scores = [FrameScore(0, 0, None, region=region)]
    for i in range(1, count):
        value = 0.8 * float(speed[i])
        scores.append(FrameScore(i, round(time[i] * 1e9), value, 0, region, 1 / FPS))
    stamps = np.array([s.stamp_ns for s in scores], np.int64)
    valid = np.ones(count, np.bool_)
    face = (
        Landmarks(0, np.zeros((98, 2), np.float32), np.ones(98, np.float32)),
        HeadPose(0, np.eye(3, dtype=np.float32), np.zeros(3, np.float32), 0.0, 0.0, 0.0, 0.0),
    )
    return Clip('made', stamps, human, valid, [face] * count, scores, scores)


@pytest.fixture(scope='module')
def imitator():
    return Imitator(load_robot('sim_face'), merged_parameters())


def test_uniform_poses_are_as_many_as_asked_and_evenly_spaced():
    poses = uniform_poses(np.arange(100, dtype=np.int64), 4)
    assert [p.frame for p in poses] == [12, 37, 62, 87]
    assert all(p.sent_ns == p.frame for p in poses)
    assert uniform_poses(np.arange(100, dtype=np.int64), 0) == []


def test_the_methods_are_those_of_the_benchmark(imitator):
    methods = imitator.methods()
    assert set(methods) >= {'peak', 'settle', 'travel', 'every_frame', 'uniform'}
    assert 'frame_difference' in methods and len(set(methods)) == len(methods)
    default = imitator.settings.mode
    assert f'uniform_{default}' not in methods


def test_a_keyframe_is_sent_at_its_commitment(imitator):
    made = clip()
    poses = imitator.poses(made, 'peak')
    assert poses and all(p.sent_ns >= made.stamps_ns[p.frame] for p in poses)
    assert any(p.sent_ns > made.stamps_ns[p.frame] for p in poses)


def test_every_frame_follows_better_and_later_than_nothing(imitator):
    made = clip()
    every = imitator.measure(made, 'every_frame', LABELS)
    assert every.commands_per_s == pytest.approx(FPS, rel=0.05)
    assert every.tracking > 0.98
    assert 0.02 < every.delay_s < 0.3
    peak = imitator.measure(made, 'peak', LABELS)
    assert peak.commands_per_s < every.commands_per_s / 5
    assert peak.cosine > 0.8  # the keyframes are on the way, the robot goes to where it ends


def test_uniform_sends_as_many_poses_as_the_mode_that_it_stands_beside(imitator):
    made = clip()
    for method in imitator.methods():
        if method.startswith('uniform'):
            mode = method.removeprefix('uniform').strip('_') or imitator.settings.mode
            assert len(imitator.poses(made, method)) == len(imitator.poses(made, mode))


def test_frames_whose_labels_show_no_face_are_not_sent(imitator):
    made = clip(1.0)
    made.human[10:], made.valid[10:] = np.nan, False
    poses, joints = imitator.run(made, 'every_frame', LABELS)
    assert [pose.frame for pose in poses] == list(range(10))
    assert np.isfinite(joints.goal_rad).all()


def test_frames_without_a_face_are_not_sent(imitator):
    made = clip(1.0)
    blind = Clip(
        made.name,
        made.stamps_ns,
        made.human,
        made.valid,
        [None] * len(made.stamps_ns),
        made.scores,
        made.differences,
    )
    poses, _ = imitator.run(blind, 'every_frame', LANDMARKS)
    assert poses == []


def test_results_are_json_by_method_and_clip(imitator):
    result = figures.ImitationMetrics(0.9, float('nan'), 0.2, -19.0, 3.0, 2.0, 8, 1.0)
    made = results.as_json({'peak': {'a': result}}, 'sim_face', 'labels', imitator.settings)
    document = json.loads(json.dumps(made))
    assert document['methods']['peak']['a']['cosine'] == 0.9
    assert document['methods']['peak']['a']['tracking'] is None
    assert document['means']['peak']['commands_per_s'] == 2.0


def test_a_pose_is_read_where_its_move_ended(imitator):
    made = clip(2.0)
    poses = [Pose(25, int(made.stamps_ns[25]))]
    head_poses, joints = imitator.run(made, 'uniform', LABELS)
    robot = imitator.robot_channels(joints)
    assert figures.measure(made, head_poses[:1] or poses, joints, robot).poses == 1


def test_a_clip_with_rests_stands_still_in_between_and_needs_no_pose_there(imitator):
    made = clip(4.0)
    rested = with_rests(made, lively_s=2.0, rest_s=2.0)
    assert len(rested.stamps_ns) == 200 and rested.duration_s == pytest.approx(199 / FPS)
    assert (np.diff(rested.human[49:100], axis=0) == 0).all()
    assert [s.score for s in rested.scores[51:100]] == [0.0] * 49
    assert [s.index for s in rested.scores] == list(range(200))
    assert [s.stamp_ns for s in rested.scores] == rested.stamps_ns.tolist()
    frames = [pose.frame for pose in imitator.poses(rested, 'travel')]
    assert frames and not [f for f in frames if 51 <= f < 100 or f >= 151]


def test_tuning_measures_a_quantum_on_both_kinds_of_clips_and_leaves_the_settings(imitator):
    before = imitator.settings
    trials = search([clip(2.0)], imitator, LABELS, (0.5,))
    assert [(t.mode, t.threshold) for t in trials] == [('travel', 0.5), ('combined', 0.5)]
    assert set(trials[0].found) == set(trials[0].uniform) == {'restless', 'with rests'}
    assert imitator.settings == before
    assert tuning_table(trials).row_count == 2


def test_a_quantum_misses_what_the_uniform_poses_do_better():
    def row(rate, tracking, delay_s):
        return {'commands_per_s': rate, 'tracking': tracking, 'delay_s': delay_s}

    even = {'restless': row(3.0, 0.6, 0.3), 'with rests': row(2.0, 0.5, 0.4)}
    good = {'restless': row(3.0, 0.6, 0.25), 'with rests': row(2.0, 0.6, 0.3)}
    assert Trial('travel', 0.5, good, even).problems == []
    poor = {'restless': row(9.0, 0.5, 0.29), 'with rests': row(2.0, 0.5, 0.4)}
    assert Trial('travel', 0.1, poor, even).problems == [
        'rate',
        'tracking',
        'delay',
        'tracking with rests',
        'delay with rests',
    ]
