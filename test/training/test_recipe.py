"""The recipe of `make train`: its steps, their order, and what it leaves out."""

import hashlib
import os
from pathlib import Path

import pytest
import yaml

pytest.importorskip('torch')

from training.keyframe.train import recipe


@pytest.fixture
def folder(tmp_path):
    """Nine labelled videos; the recipe looks only whether they are there."""
    for i in range(9):
        (tmp_path / f'clip{i}.mp4').touch()
        (tmp_path / f'clip{i}.npz').touch()
    return tmp_path


def printed(capsys, folder, *more):
    out = folder / 'out'
    options = ['--clips', folder, '--out', out, '--renders', out / 'renders', '--dry-run', *more]
    code = recipe.main([str(o) for o in options])
    found = capsys.readouterr()
    return code, found.out.splitlines(), found.err


def test_small_networks_come_first_and_start_the_default(capsys, folder):
    code, lines, _ = printed(capsys, folder, '--faces', 'none', '--minutes', '100')
    assert code == 0
    trained = [line for line in lines if 'training.keyframe.train.run ' in line]
    names = [line.split('configs/')[1].split('.yaml')[0] for line in trained]
    assert names == ['lite_wide', 'resnet50_only', 'default']
    assert [line.split('--minutes ')[1].split()[0] for line in trained] == ['10.0', '20.0', '20.0']
    starts = trained[2].split('--start ')[1].split(' --set')[0].split()
    assert [Path(s).parent.name for s in starts] == ['keyframe_resnet50', 'keyframe_lite_wide']
    assert all('/parts/last.ckpt' in line for line in trained[:2])
    assert starts[0].endswith('last.ckpt:place_net.,squeeze.')
    (parts,) = (line for line in lines if 'training.keyframe.train.train_parts' in line)
    assert '--minutes 50.0' in parts and parts.endswith('--hold-out clip4')
    assert lines.index(parts) < lines.index(trained[0])
    (taught,) = (line for line in lines if 'training.keyframe.train.distil' in line)
    assert f'--teacher {folder}/out/keyframe_lite_wide/last.ckpt --config' in taught
    assert f'--out {folder}/out/keyframe_lite --minutes 5.0' in taught
    assert lines.index(trained[0]) < lines.index(taught) and 'hold_out=[clip4]' in taught
    exported = [line for line in lines if 'training.keyframe.export.run' in line]
    assert len(exported) == 3
    assert all(f'--models {folder}/out/models' in line for line in exported)
    # Nobody of the configuration is here: one person of eight is held out, in every step.
    assert all("'hold_out=[clip4]'" in line for line in trained)
    measured = [line for line in lines if 'held_out_people' in line]
    assert len(measured) == 3 and all(line.endswith('--hold-out clip4') for line in measured)
    assert not (folder / 'out').exists()


def test_the_papers_model_is_one_flag_away(capsys, folder):
    code, lines, _ = printed(capsys, folder, '--config', 'paper', '--faces', 'none')
    modules = [line.split('-m ')[1].split()[0] for line in lines]
    assert code == 0 and modules == [
        'training.keyframe.train.run',
        'training.keyframe.export.run',
        'training.keyframe.measure.held_out_people',
    ]
    # The paper's length and random weights, and a model that `model: paper` finds.
    assert 'configs/paper.yaml' in lines[0] and '--minutes' not in lines[0]
    assert '--start' not in lines[0] and '--name paper ' in lines[1]
    _, lines, _ = printed(capsys, folder, '--config', 'paper', '--minutes', 30)
    assert '--minutes 30.0' in lines[0]
    with pytest.raises(SystemExit):
        printed(capsys, folder, '--config', 'paper', '--start-from', 'models')
    assert 'leave --start-from out' in capsys.readouterr().err


def test_models_that_are_there_are_trained_on(capsys, folder):
    models = folder / 'models'
    code, _, error = printed(capsys, folder, '--faces', 'none', '--start-from', models)
    assert code == 2 and f'{models}/keyframe_lite.onnx' in error
    models.mkdir()
    for _, name, _, _ in recipe.STAGES:
        (models / f'{name}.onnx').touch()
    code, lines, _ = printed(capsys, folder, '--faces', 'none', '--start-from', models)
    imported = [
        i for i, line in enumerate(lines) if 'training.keyframe.export.import_from_onnx' in line
    ]
    cached = [i for i, line in enumerate(lines) if 'training.data.clip_cache' in line]
    (parts,) = (i for i, line in enumerate(lines) if 'train_parts' in line)
    # The statistics of an imported network are measured on the clips.
    assert code == 0 and len(imported) == 3 and len(cached) == 1
    assert cached[0] < imported[0] and imported[-1] < parts
    assert f'--start {folder}/out/imported_keyframe_lite.ckpt' in lines[parts]
    for line in lines:
        if 'training.keyframe.train.run ' in line:
            starts = line.split('--start ')[1].split(' --set')[0].split()
            assert f'imported_{Path(line.split("--out ")[1].split()[0]).name}' in starts[0]
            assert starts[1].endswith('/parts/last.ckpt')
    # What is imported stays, until its model changes.
    (folder / 'out').mkdir()
    for _, name, _, _ in recipe.STAGES:
        (folder / f'out/imported_{name}.ckpt').touch()
    os.utime(models / 'keyframe_lite.onnx', (4e9, 4e9))
    _, lines, _ = printed(capsys, folder, '--faces', 'none', '--start-from', models)
    (again,) = [line for line in lines if 'training.keyframe.export.import_from_onnx' in line]
    assert 'keyframe_lite.onnx' in again


def test_photographs_are_animated_if_all_is_there(capsys, folder, monkeypatch):
    faces, teacher = folder / 'faces.npz', folder / 'teacher.task'
    options = ['--faces', faces, '--teacher', teacher, '--shards', 2]
    code, _, error = printed(capsys, folder, *options)
    assert code == 2 and str(faces) in error and str(teacher) in error
    faces.touch()
    teacher.touch()
    monkeypatch.setattr(recipe.importlib.util, 'find_spec', lambda name: object())
    made = folder / 'out/animated/animated_0001.npy'
    made.parent.mkdir(parents=True)
    made.touch()
    code, lines, _ = printed(capsys, folder, *options)
    animated = [line for line in lines if 'training.data.animate' in line]
    assert code == 0 and len(animated) == 1
    assert '--seed 2' in animated[0] and animated[0].endswith('--hold-out clip4')


def test_renders_that_are_there_are_kept(capsys, folder, monkeypatch):
    monkeypatch.setenv('KF_FACE_MODEL', str(folder))
    _, lines, _ = printed(capsys, folder, '--faces', 'none')
    assert sum('face_renderer.generate' in line for line in lines) == 1
    (folder / 'out/renders').mkdir(parents=True)
    (folder / 'out/renders/pairs-00000.npz').touch()
    _, lines, _ = printed(capsys, folder, '--faces', 'none')
    assert not any('face_renderer.generate' in line for line in lines)


def test_all_bad_numbers_are_named(capsys, folder):
    with pytest.raises(SystemExit, match='2'):
        printed(capsys, folder, '--minutes', '0', '--shards', '-1')
    error = capsys.readouterr().err
    assert '--minutes 0' in error and '--shards -1' in error
    code, _, error = printed(capsys, folder / 'nowhere')
    assert code == 2 and 'nowhere' in error


def test_a_failing_step_ends_the_recipe_with_its_code(capsys, folder, monkeypatch):
    ran = []

    def run(command, check):
        ran.append(command)
        return type('Done', (), {'returncode': 3 if len(ran) == 2 else 0})

    monkeypatch.setattr(recipe.subprocess, 'run', run)
    monkeypatch.setattr(recipe, '_render', lambda plan, options: None)
    out = str(folder / 'out')
    assert recipe.main(['--clips', str(folder), '--out', out, '--faces', 'none']) == 3
    assert len(ran) == 2 and 'start again' in capsys.readouterr().err


def test_installing_replaces_the_named_models_only(tmp_path):
    for name in ('new', 'old'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'a.onnx').write_text(name)
        entry = {'file': 'a.onnx', 'sha256': hashlib.sha256(name.encode()).hexdigest()}
        recipe.write_manifest(tmp_path / name / 'manifest.yaml', 'a', entry)
    recipe.write_manifest(tmp_path / 'old/manifest.yaml', 'other', {'file': 'b.onnx'})
    recipe.install(tmp_path / 'new', tmp_path / 'old')
    assert (tmp_path / 'old/a.onnx').read_text() == 'new'
    entries = yaml.safe_load((tmp_path / 'old/manifest.yaml').read_text())['models']
    assert entries['a']['sha256'] == hashlib.sha256(b'new').hexdigest() and 'other' in entries
