"""Trainings with the same seed give the same weights."""

import argparse
import json
import os
import signal
import sys
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('lightning')

from fake_faces import fake_points, write_labelled_clips  # noqa: E402

import training.keyframe.train.run as keyframe_run  # noqa: E402
from kf_imitation.keyframe.scoring.pair_scorer import CHANGE_NAMES  # noqa: E402
from training.data.clip_cache import CachedClip, face_regions  # noqa: E402
from training.data.face_states import FaceStates  # noqa: E402
from training.data.part_stream import PartStream  # noqa: E402
from training.keyframe.train import train_parts  # noqa: E402
from training.landmarks.networks.pfld import PFLDConfig  # noqa: E402
from training.landmarks.train import eyes  # noqa: E402
from training.landmarks.train import run as landmarks_run  # noqa: E402
from training.loop import Schedule  # noqa: E402
from training.seeding import seed_everything  # noqa: E402


def weights_of(file):
    saved = torch.load(file, map_location='cpu', weights_only=False)
    return saved.get('average') or saved['state_dict'], saved


def assert_seed_decides(train, tmp_path):
    """`train(out, seed)` returns its checkpoint."""
    first, saved = weights_of(train(tmp_path / 'first', 5))
    again, _ = weights_of(train(tmp_path / 'again', 5))
    other, _ = weights_of(train(tmp_path / 'other', 6))
    assert saved['seed'] == 5
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def call(monkeypatch, main, *options):
    monkeypatch.setattr(sys, 'argv', ['train', *map(str, options)])
    main()


def groups(count):
    return np.array([f'clip:{i % 12}' for i in range(count)])


def test_two_trainings_of_the_eye_model_with_one_seed_are_equal(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    np.save(tmp_path / 'patches.npy', rng.integers(0, 255, (24, 72, 112, 3), np.uint8))
    points = np.tile(np.linspace(30, 80, 9, dtype=np.float32)[:, None], (24, 1, 2))
    predictions = rng.uniform(0, 1, (24, 7)).astype(np.float32)
    np.savez(tmp_path / 'labels.npz', points=points, predictions=predictions, group=groups(24))

    def train(out, seed):
        options = ['--cache', tmp_path, '--out', out, '--steps', 3, '--batch', 4, '--seed', seed]
        call(monkeypatch, eyes.main, *options)
        return out / 'last.pt'

    assert_seed_decides(train, tmp_path)


def test_two_trainings_of_the_landmarks_with_one_seed_are_equal(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    np.save(tmp_path / 'crops.npy', rng.integers(0, 255, (24, 160, 160, 3), np.uint8))
    np.savez(
        tmp_path / 'labels.npz',
        points=rng.uniform(40, 120, (24, 98, 2)).astype(np.float32),
        angles=np.zeros((24, 3), np.float32),
        state=np.zeros((24, 4), np.float32),
        blendshapes=rng.uniform(0, 1, (24, 51)).astype(np.float32),
        rotation=np.tile(np.eye(3, dtype=np.float32), (24, 1, 1)),
        group=groups(24),
    )
    tiny = PFLDConfig(8, 8, 2, 16, 2, 2, 2, 8, 8, 16)
    monkeypatch.setattr(landmarks_run, 'DEFAULT_CONFIG', tiny)

    def train(out, seed):
        options = ['--cache', tmp_path, '--out', out, '--steps', 3, '--batch', 4, '--seed', seed]
        call(monkeypatch, landmarks_run.main, *options)
        return out / 'last.pt'

    assert_seed_decides(train, tmp_path)


@pytest.fixture
def one_short_clip(monkeypatch):
    """What the networks of eyes and mouth are trained on: 20 frames of noise."""
    count = 20
    wave = np.tile(np.linspace(0, 1, count, dtype=np.float32)[:, None], (1, 51))
    points = np.tile(fake_points(), (count, 1, 1))
    turn = np.zeros((count, 3), np.float32)
    labels = FaceStates(wave, CHANGE_NAMES[:51], turn, points, np.ones(count, bool), 30.0)
    frames = np.random.default_rng(3).integers(0, 255, (count, 192, 192, 3), np.uint8)
    clip = CachedClip('fake', frames, labels, face_regions(points))
    monkeypatch.setattr(train_parts, 'labelled_clips', lambda *_: ([clip], []))
    monkeypatch.setattr(train_parts, 'PartStream', partial(PartStream, groups=2))


@pytest.mark.timeout(300)
@pytest.mark.usefixtures('one_short_clip')
def test_a_training_of_eyes_and_mouth_leaves_a_checkpoint_however_short(tmp_path, monkeypatch):
    options = ['--out', tmp_path, '--minutes', 1e-9, '--full', '--faces', tmp_path / 'none']
    call(monkeypatch, train_parts.main, *options, '--animated', tmp_path / 'none')
    assert torch.load(tmp_path / 'last.ckpt', weights_only=False)['step'] == 1


@pytest.mark.timeout(300)
@pytest.mark.usefixtures('one_short_clip')
def test_two_trainings_of_eyes_and_mouth_with_one_seed_are_equal(tmp_path, monkeypatch):
    def train(out, seed):
        options = ['--out', out, '--steps', 2, '--seed', seed, '--full']
        options += ['--faces', tmp_path / 'none', '--animated', tmp_path / 'none']
        call(monkeypatch, train_parts.main, *options)
        return out / 'last.ckpt'

    assert_seed_decides(train, tmp_path)


@pytest.mark.timeout(300)
def test_two_trainings_of_the_keyframe_network_with_one_seed_are_equal(tmp_path, monkeypatch):
    write_labelled_clips(tmp_path / 'clips')

    def train(out, seed):
        options = ['--config', 'training/keyframe/train/configs/lite.yaml', '--threads', 1]
        options += ['--clips', tmp_path / 'clips', '--cache', tmp_path / 'cache', '--out', out]
        options += ['--faces', tmp_path / 'none', '--animated', tmp_path / 'none']
        options += ['--accelerator', 'cpu', '--devices', 1, '--seed', seed]
        options += ['--set', 'max_steps=2', 'data.windows=2', 'data.frames=2', 'half=false']
        options += ['hold_out=[]', 'frozen=[]', 'data.crop_px=128', 'data.renders=0']
        call(monkeypatch, keyframe_run.main, *options)
        assert json.loads((out / 'config.json').read_text())['seed'] == seed
        return out / 'last.ckpt'

    assert_seed_decides(train, tmp_path)


@pytest.mark.timeout(300)
def test_ctrl_c_saves_the_step_at_hand_and_the_run_goes_on_from_there(
    tmp_path, monkeypatch, capsys
):
    write_labelled_clips(tmp_path / 'clips')
    step = keyframe_run.KeyframeTraining.training_step

    def pressed_in_the_second_step(task, batch, index):
        if task.global_step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return step(task, batch, index)

    options = ['--config', 'training/keyframe/train/configs/lite.yaml', '--threads', 1]
    options += ['--clips', tmp_path / 'clips', '--cache', tmp_path / 'cache']
    options += ['--faces', tmp_path / 'none', '--animated', tmp_path / 'none']
    options += ['--out', tmp_path / 'run', '--accelerator', 'cpu', '--devices', 1]
    options += ['--set', 'max_steps=4', 'data.windows=2', 'data.frames=2', 'half=false']
    options += ['hold_out=[]', 'data.crop_px=128', 'data.renders=0']
    # What is frozen must come from somewhere.
    with pytest.raises(SystemExit, match='2'):
        call(monkeypatch, keyframe_run.main, *options)
    assert "frozen ['parts.'] would stay random" in capsys.readouterr().err
    options += ['frozen=[]']
    with monkeypatch.context() as patch:
        patch.setattr(keyframe_run.KeyframeTraining, 'training_step', pressed_in_the_second_step)
        call(monkeypatch, keyframe_run.main, *options)
    assert 'stopped after step 2' in capsys.readouterr().out
    assert keyframe_run.steps_done(tmp_path / 'run/last.ckpt') == 2
    call(monkeypatch, keyframe_run.main, *options)
    assert keyframe_run.steps_done(tmp_path / 'run/last.ckpt') == 4


def test_ctrl_c_ends_a_schedule_and_a_second_one_the_program():
    schedule = Schedule(argparse.Namespace(steps=10, minutes=1.0))
    assert schedule.done == 0
    os.kill(os.getpid(), signal.SIGINT)
    assert schedule.done == 1
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_the_seed_is_printed_and_decides_what_python_numpy_and_torch_draw(capsys):
    def drawn():
        import random

        return random.random(), np.random.rand(), float(torch.rand(1))

    seed_everything(3)
    first = drawn()
    seed_everything(3)
    assert drawn() == first and capsys.readouterr().out == 'seed 3\nseed 3\n'
