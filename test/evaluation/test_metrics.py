from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from kf_imitation.errors import SourceError
from kf_imitation.evaluation.labels import Labels, find_clips, load_labels
from kf_imitation.evaluation.metrics import (
    Target,
    clip_metrics,
    label_target,
    mean_metrics,
    pair,
)
from kf_imitation.face_geometry.head_pose import unwrapped
from kf_imitation.paths import share_path


def target(keyframes, count=100, fps=30.0):
    scores = np.zeros(count)
    scores[keyframes] = 0.5
    return Target(scores, np.array(keyframes, np.int64), fps, np.ones(count, bool))


def labels(shapes, rotations=None, fps=30.0):
    count = len(shapes)
    blendshapes = np.zeros((count, 52), np.float32)
    blendshapes[:, 10] = shapes
    pose = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    if rotations is not None:
        pose[:, :3, :3] = Rotation.from_rotvec(rotations).as_matrix()
    return Labels(
        blendshapes, ('',) * 52, pose, np.zeros((count, 478, 3), np.float32),
        np.ones(count, bool), fps,
    )  # fmt: skip


@pytest.mark.parametrize('fps', [15, 25, 30, 60])
def test_the_target_is_a_rate(fps):
    steady = label_target(labels(np.arange(5 * fps) * 0.05 * 30 / fps, fps=fps))
    assert steady.scores[0] == 0
    assert np.allclose(steady.scores[fps:-fps], 1 - np.exp(-0.05 / 0.2), atol=1e-6)
    assert len(steady.keyframes) == 0


def test_a_radian_of_head_rotation_counts_twice():
    turning = np.outer(np.arange(100) * 0.02, [0, 1, 0])
    scores = label_target(labels(np.zeros(100), turning)).scores
    assert np.allclose(scores[20:80], 1 - np.exp(-2 * 0.02 / 0.2), atol=1e-4)


def test_each_movement_is_a_keyframe_at_its_fastest_frame():
    t = np.arange(120)
    steps = sum(1 / (1 + np.exp(-(t - middle) / 2)) for middle in (30, 60, 90))
    found = label_target(labels(steps)).keyframes
    assert np.abs(found - [30, 60, 90]).max() <= 1


def test_rotation_vectors_do_not_jump_at_half_a_turn():
    angles = np.linspace(2.5, 3.9, 30)
    vectors = Rotation.from_rotvec(np.outer(angles, [0, 0, 1])).as_rotvec()
    assert np.abs(np.diff(vectors, axis=0)).max() > 6
    assert np.allclose(unwrapped(vectors)[:, 2], angles)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 20), max_size=5, unique=True),
    st.lists(st.integers(0, 20), max_size=5, unique=True),
    st.integers(1, 6),
)
def test_pairing_takes_the_most_pairs_and_then_the_least_distance(truth, found, reach):
    """Against trying every assignment."""
    short, long = sorted((truth, found), key=len)
    best = (0, 0)
    for chosen in permutations(long, len(short)):
        near = [abs(a - b) for a, b in zip(short, chosen, strict=True) if abs(a - b) <= reach]
        best = max(best, (len(near), -sum(near)))
    pairs = pair(truth, found, reach)
    assert (len(pairs), -sum(abs(a - b) for a, b in pairs)) == best


def test_the_metrics_of_a_known_case():
    # 10 is hit, 30 is 4 frames off (E_l only), 50 is missed, 80 is one too many.
    result = clip_metrics(target([10, 30, 50]), [0.0] * 99 + [1.0], [10, 34, 80, 90], [0.1, 0.2])
    assert (result.e_n, result.e_l, result.paired) == (1, 2, 2)
    assert result.f1 == pytest.approx(2 * 1 / 7)
    assert (result.delay_median_s, result.delay_worst_s) == (pytest.approx(0.15), 0.2)


@pytest.mark.parametrize(('fps', 'reach'), [(15, 1), (24, 2), (25, 2), (30, 2), (60, 4)])
def test_f1_counts_pairs_within_two_frames_of_30_fps(fps, reach):
    truth = target([20], fps=fps)
    assert clip_metrics(truth, [0.0] * 100, [20 + reach]).f1 == 1
    assert clip_metrics(truth, [0.0] * 100, [20 + reach + 1]).f1 == 0


def test_what_cannot_be_computed_is_none():
    result = clip_metrics(target([]), [None] * 100, [])
    assert (result.e_n, result.e_l, result.f1, result.rho) == (0, None, None, None)
    assert result.delay_median_s is None


def test_frames_without_a_score_count_as_zero_in_rho():
    truth = Target(np.array([0.0, 0.1, 0.2, 0.3]), np.array([], np.int64), 30, np.ones(4, bool))
    assert clip_metrics(truth, [None, 0.2, 0.4, 0.5], []).rho == pytest.approx(1)


def without_face(made, frames):
    """The labels with frames in which no face was seen."""
    made.blendshapes[frames], made.head_pose[frames], made.valid[frames] = np.nan, np.nan, False
    return made


def test_frames_without_a_face_are_filled_between_their_neighbours():
    turning = np.outer(np.arange(40) * 0.05, [0, 1, 0])
    ramp = 0.01 * np.arange(40)
    shapes, vectors = without_face(labels(ramp, turning), [0, 1, 10, 11, 12, 39]).motion()
    assert np.allclose(shapes[2:39, 9], ramp[2:39], atol=1e-6)
    assert np.allclose(vectors[2:39], turning[2:39], atol=1e-6)
    assert np.allclose(shapes[:2, 9], ramp[2]) and np.allclose(vectors[39], turning[38], atol=1e-6)


def test_vectors_are_unwrapped_across_frames_without_a_face():
    angles = np.linspace(2.5, 3.9, 30)
    _, vectors = without_face(labels(np.zeros(30), np.outer(angles, [0, 0, 1])), [14, 15]).motion()
    assert np.allclose(vectors[:, 2], angles, atol=1e-5)


def test_a_frame_counts_if_it_and_the_one_before_show_a_face():
    made = label_target(without_face(labels(np.zeros(8)), [0, 4]))
    assert made.counted.tolist() == [False, False, True, True, False, False, True, True]
    assert label_target(labels(np.zeros(3))).counted.all()


def test_keyframes_where_no_face_is_seen_are_in_neither_list():
    t = np.arange(120)
    steps = sum(1 / (1 + np.exp(-(t - middle) / 2)) for middle in (30, 60, 90))
    truth = label_target(without_face(labels(steps), slice(58, 63)))
    assert len(truth.keyframes) == 2 and np.abs(truth.keyframes - [30, 90]).max() <= 1
    result = clip_metrics(truth, truth.scores.tolist(), [30, 60, 63, 90], [0.1, 9.0, 9.0, 0.2])
    assert (result.truth, result.found, result.e_n) == (2, 2, 0)
    assert result.delay_worst_s == 0.2


def test_frames_that_do_not_count_are_left_out_of_rho():
    made = label_target(without_face(labels(np.cumsum(np.arange(40) % 7) * 0.01), [20, 21]))
    scores = made.scores.copy()
    scores[20:23] = 1.0
    assert clip_metrics(made, scores.tolist(), []).rho == pytest.approx(1)


def test_labels_without_any_face_have_no_target():
    with pytest.raises(SourceError, match='without a face'):
        label_target(without_face(labels(np.zeros(5)), slice(None)))


@pytest.mark.parametrize(('missing', 'measurable'), [(0, True), (5, True), (6, False)])
def test_a_clip_with_fewer_than_half_of_its_frames_valid_is_not_measured(missing, measurable):
    assert without_face(labels(np.zeros(10)), slice(missing)).measurable == measurable


def test_another_number_of_frames_is_rejected():
    with pytest.raises(ValueError, match='99 scores for 100'):
        clip_metrics(target([10]), [0.0] * 99, [])


def test_clips_with_few_keyframes_are_left_out_of_the_means():
    full = clip_metrics(target([10, 30, 50]), [0.0] * 100, [10, 30, 50], [0.1, 0.1, 0.3])
    poor = clip_metrics(target([10, 30]), [0.0] * 100, [], [])
    means = mean_metrics([full, poor])
    assert (means['clips'], means['e_n'], means['f1']) == (1, 0, 1)
    assert means['delay_worst_s'] == 0.3


def write(path, **changes):
    made = labels(np.zeros(10))
    arrays = {
        'blendshapes': made.blendshapes,
        'names': np.array([f'n{i}' for i in range(52)]),
        'head_pose': made.head_pose,
        'landmarks_q': np.full((10, 478, 3), 32, np.int16),
        'valid': made.valid,
        'fps': 25.0,
    }
    arrays.update(changes)
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})


def test_labels_are_read(tmp_path):
    write(tmp_path / 'a.npz')
    read = load_labels(tmp_path / 'a.npz')
    assert (read.fps, read.names[3], read.landmarks_px[0, 0, 0]) == (25.0, 'n3', 2.0)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'head_pose': None}, 'head_pose'),
        ({'blendshapes': np.zeros((10, 51), np.float32)}, r'blendshapes has shape \(10, 51\)'),
        ({'valid': np.ones(9, bool)}, r'valid has shape \(9,\)'),
        ({'fps': 0.0}, '10 frames at 0.0 fps'),
    ],
)
def test_faulty_labels_are_rejected(tmp_path, changes, message):
    write(tmp_path / 'a.npz', **changes)
    with pytest.raises(SourceError, match=message):
        load_labels(tmp_path / 'a.npz')


def test_labels_that_lack_arrays_are_told_which_are_needed(tmp_path):
    write(tmp_path / 'a.npz')
    arrays = dict(np.load(tmp_path / 'a.npz'))
    for name in ('landmarks_q', 'fps'):
        del arrays[name]
    np.savez(tmp_path / 'a.npz', **arrays)
    with pytest.raises(SourceError) as error:
        load_labels(tmp_path / 'a.npz')
    assert str(error.value).endswith(
        'lack landmarks_q, fps; labels need the arrays blendshapes, names, head_pose, '
        'landmarks_q, valid, fps'
    )
    with pytest.raises(SourceError, match='lack landmarks_q; '):
        load_labels(tmp_path / 'a.npz', images=True)


def test_labels_may_lack_points_where_only_the_aperture_of_mouths_needs_them():
    read = load_labels(share_path('media/demo.npz'), points=False)
    assert not read.has_points and read.landmarks_px.shape == (420, 0, 3)


def test_a_file_that_is_no_npz_is_rejected(tmp_path):
    (tmp_path / 'a.npz').write_bytes(b'nothing of the kind')
    with pytest.raises(SourceError, match=r'a\.npz'):
        load_labels(tmp_path / 'a.npz')
    with pytest.raises(SourceError, match='cannot be read'):
        load_labels(tmp_path / 'b.npz')


def test_clips_are_videos_with_labels_beside_them_in_any_layout(tmp_path):
    for stem in ('id1/video/00001', 'id1/video/00002', 'id2/vid'):
        path = tmp_path / f'{stem}.mp4'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if '2' in stem:
            path.with_suffix('.npz').touch()
    found = [p.relative_to(tmp_path).as_posix() for p in find_clips(tmp_path)]
    assert found == ['id1/video/00002.mp4', 'id2/vid.mp4']
    with pytest.raises(SourceError, match='is not a directory'):
        find_clips(tmp_path / 'id3')
    (tmp_path / 'id3').mkdir()
    with pytest.raises(SourceError, match='holds no video'):
        find_clips(tmp_path / 'id3')
