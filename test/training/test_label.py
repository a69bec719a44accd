"""Labelling of videos by the teacher: views, files, resuming, bad videos, processes, Ray."""

import os
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import cv2
import numpy as np
import pytest

from kf_imitation.evaluation.labels import load_labels
from training.data.face_states import load_face_states
from training.labels import run as label
from training.labels.jobs import run_local, run_ray
from training.labels.video import ALL_VIEWS, View, to_arrays

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT.parent / 'shared/models/face_landmarker.task'
DEV = ROOT.parent / 'shared/data/clips/dev'
DEMO = ROOT / 'media/demo.mp4'


@pytest.fixture
def teacher():
    pytest.importorskip('mediapipe', reason='labelling needs pip install mediapipe')
    if not MODEL.is_file():
        pytest.skip('needs ../shared/models/face_landmarker.task')
    return ['--model', str(MODEL), '--jobs', '1']


def cut(target, frames=5, start=30, video=DEMO):
    """Write some frames of a video, the rendered demo, to a small one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    reader = cv2.VideoCapture(str(video))
    reader.set(cv2.CAP_PROP_POS_FRAMES, start)
    code = cv2.VideoWriter_fourcc(*('MJPG' if target.suffix == '.avi' else 'mp4v'))
    images = [cv2.resize(reader.read()[1], (256, 256)) for _ in range(frames)]
    writer = cv2.VideoWriter(str(target), code, 30, (256, 256))
    for image in images:
        writer.write(image)
    writer.release()


def test_rotations_of_all_views_lead_back_to_the_frames():
    rotation = cv2.Rodrigues(np.array([0.1, 0.3, -0.2]))[0]
    turn = cv2.Rodrigues(np.array([0, 0, np.deg2rad(5.0)]))[0]
    flip = np.diag([-1.0, 1, 1])
    turned = turn @ rotation
    seen = [rotation, flip @ rotation @ flip, turned, flip @ turned @ flip]
    back = [view.undo_rotation(r) for view, r in zip(ALL_VIEWS, seen, strict=True)]
    np.testing.assert_allclose(back, [rotation] * 4, atol=1e-6)


@pytest.mark.parametrize('view', ALL_VIEWS)
def test_points_move_to_where_a_view_shows_them(view):
    image = np.zeros((100, 140, 3), np.uint8)
    image[28:33, 98:103] = 255
    rows, columns = np.nonzero(view.show(image)[..., 0] > 128)
    moved = view.move(np.array([[100.0, 30.0]]), 140, 100)
    np.testing.assert_allclose(moved[0], [columns.mean(), rows.mean()], atol=0.6)


@pytest.mark.timeout(400)
@pytest.mark.parametrize('stem', ['lp_d0', 'dpe_data_s'])
def test_labels_are_those_of_the_second_edition(stem, teacher, tmp_path):
    video, script = DEV / f'{stem}.mp4', DEV.parents[1] / 'label_clips.py'
    if not (video.is_file() and script.is_file()):
        pytest.skip('needs ../shared/data')
    cut(tmp_path / 'a.mp4', frames=6, start=0, video=video)
    assert label.main([str(tmp_path), *teacher]) == 0
    mine = np.load(tmp_path / 'a.npz')
    spec = spec_from_file_location('label_clips', script)
    label_clips = module_from_spec(spec)
    spec.loader.exec_module(label_clips)
    passes = [label_clips.run(str(tmp_path / 'a.mp4'), view) for view in label_clips.VIEWS]
    blendshapes, pose, valid = label_clips.mean_labels(passes)
    np.testing.assert_allclose(mine['blendshapes'], blendshapes, atol=1e-3)
    np.testing.assert_allclose(mine['head_pose'], pose, atol=1e-3)
    np.testing.assert_array_equal(mine['valid'], valid)
    np.testing.assert_array_equal(mine['landmarks_q'], np.round(16 * passes[0][2]))
    with np.load(video.with_suffix('.npz')) as shared:
        assert set(mine) == set(shared) and mine['mode'] == shared['mode'] == 'image'
        assert mine['names'].tolist() == shared['names'].tolist()
        # The cut was compressed once more.
        apart = np.abs(mine['blendshapes'] - shared['blendshapes'][:6]).mean()
    assert apart < 0.02


def test_a_turned_view_turns_counter_clockwise_as_its_pose_does():
    image = np.zeros((101, 101, 3), np.uint8)
    image[48:53, 80:85] = 255  # right of the middle
    shown = View(turn_deg=90.0).show(image)
    assert shown[10:30, 40:61].max() == 255  # now above it


def test_frames_without_a_face_are_not_valid_and_take_the_nearest_landmarks(tmp_path):
    names = ['_neutral', *(f'shape{i}' for i in range(51))]
    rows = [
        {'blendshapes': np.full(52, k), 'names': names, 'head_pose': np.eye(4),
         'landmarks': np.full((478, 3), k)}
        for k in (2.0, 4.0)
    ]  # fmt: skip
    arrays = to_arrays([None, rows[0], None, None, rows[1], None], 30.0, (64, 48))
    assert arrays['valid'].tolist() == [False, True, False, False, True, False]
    assert np.isnan(arrays['blendshapes'][2]).all() and np.isnan(arrays['head_pose'][2]).all()
    assert (arrays['landmarks_q'][1] == 32).all() and arrays['landmarks_q'].dtype == np.int16
    assert to_arrays([None, None], 30.0, (64, 48)) is None
    np.savez(tmp_path / 'a.npz', **arrays)
    assert load_face_states(tmp_path / 'a.npz').points_px[:, 0, 0].tolist() == [
        2, 2, 2, 4, 4, 4
    ]  # fmt: skip


def test_labels_of_the_teachers_video_mode_are_made_again(tmp_path):
    arrays = dict.fromkeys(label.KEYS, 0)
    np.savez(tmp_path / 'new.npz', **arrays)
    assert label.finished(tmp_path / 'new.npz')
    del arrays['mode']
    np.savez(tmp_path / 'old.npz', **arrays)
    assert not label.finished(tmp_path / 'old.npz')


def test_failing_and_dying_pieces_of_work_do_not_stop_the_rest(tmp_path):
    (tmp_path / 'a').write_text('abc')
    tasks = [str(tmp_path / 'a'), str(tmp_path / 'missing')]
    outcomes = {t: (r, e) for t, r, e in run_local(os.path.getsize, tasks, 2)}
    assert outcomes[tasks[0]] == (3, None)
    assert 'missing' in outcomes[tasks[1]][1]
    (died,) = run_local(os._exit, [7], 1)
    assert died == (7, None, 'its process died')


def test_a_missing_model_is_named(tmp_path, capsys):
    pytest.importorskip('mediapipe', reason='labelling needs pip install mediapipe')
    assert label.main([str(DEMO), '--model', str(tmp_path / 'no.task')]) == 2
    assert 'no.task is missing' in capsys.readouterr().err


def test_a_missing_mediapipe_is_named_with_the_remedy(monkeypatch, capsys):
    monkeypatch.setitem(__import__('sys').modules, 'mediapipe', None)
    assert label.main([str(DEMO)]) == 2
    assert 'pip install mediapipe' in capsys.readouterr().err


@pytest.mark.timeout(400)
def test_a_tree_is_labelled_bad_videos_are_listed_and_a_second_run_skips(
    tmp_path, teacher, capsys
):
    cut(tmp_path / 'vox/test/id1/v/1.mp4')
    shutil.copy(ROOT / 'README.md', tmp_path / 'vox/test/id1/v/2.mp4')
    command = [str(tmp_path / 'vox'), '--labels', str(tmp_path / 'labels'), *teacher]
    assert label.main(command) == 1
    out, err = capsys.readouterr()
    assert '1 videos labelled, 5 of 5 frames' in out and '2.mp4' in err
    file = tmp_path / 'labels/test/id1/v/1.npz'
    labels = load_labels(file)
    assert labels.blendshapes.shape == (5, 52) and labels.names[0] == '_neutral'
    assert labels.valid.all() and labels.fps == 30
    assert [p.name for p in file.parent.iterdir()] == ['1.npz']
    stamp = file.stat().st_mtime_ns
    assert label.main(command) == 1
    assert file.stat().st_mtime_ns == stamp
    assert '1 were finished before' in capsys.readouterr().out


@pytest.mark.timeout(400)
def test_points_of_300vw_say_which_face_is_meant(tmp_path, teacher):
    cut(tmp_path / '001/vid.avi', frames=3)
    annotation = tmp_path / '001/annot'
    annotation.mkdir()
    corner = '\n'.join(f'{1 + i % 8} {1 + i // 8}' for i in range(68))
    for number in (1, 2, 3):
        (annotation / f'{number:06d}.pts').write_text(
            f'version: 1\nn_points: 68\n{{\n{corner}\n}}\n'
        )
    # The points lie in a corner where no face is.
    assert label.main([str(tmp_path), '--views', '1', *teacher]) == 1
    assert not (tmp_path / '001/vid.npz').exists()


@pytest.mark.timeout(500)
def test_a_local_ray_does_the_same_work(tmp_path, teacher, capsys):
    pytest.importorskip('ray', reason='needs pip install ray')
    cut(tmp_path / 'a.mp4', frames=3)
    (tmp_path / 'bad.mp4').write_text('no video')
    command = [str(tmp_path), '--views', '1', '--ray', '--model', str(MODEL)]
    assert label.main(command) == 1
    assert '1 videos labelled, 3 of 3' in capsys.readouterr().out
    assert load_labels(tmp_path / 'a.npz').valid.all()


def test_ray_missing_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'ray', None)
    with pytest.raises(label.KfImitationError, match='pip install ray'):
        list(run_ray(os.path.getsize, ['x'], 'local'))
