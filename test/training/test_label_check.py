"""Agreement of two label files."""

import numpy as np
import pytest

pytest.importorskip('scipy')

from training.labels import check


def write(path, shift=0.0, frames=60):
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = np.zeros((frames, 52), np.float32)
    shapes[:, 5] = 0.3 + 0.2 * np.sin(np.arange(frames) / 4)
    shapes[:, 1:] += shift
    np.savez(
        path,
        blendshapes=shapes,
        names=np.array(['_neutral', *(f'shape{i}' for i in range(51))]),
        head_pose=np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1)),
        landmarks_q=np.zeros((frames, 478, 3), np.int16),
        valid=np.ones(frames, bool),
        fps=30.0,
    )


def test_a_constant_shift_is_a_difference_of_shapes_and_not_of_scores(tmp_path, capsys):
    (tmp_path / 'clips').mkdir()
    (tmp_path / 'clips/a.mp4').touch()
    write(tmp_path / 'clips/a.npz')
    write(tmp_path / 'made/a.npz', shift=0.05)
    command = [str(tmp_path / 'clips'), '--labels', str(tmp_path / 'made')]
    assert check.main(command) == 0
    assert 'a: rho 1.000, blendshapes 0.0500, head 0.00 deg, 60 fr' in capsys.readouterr().out


def test_labels_of_other_clips_are_rejected(tmp_path, capsys):
    (tmp_path / 'a.mp4').touch()
    write(tmp_path / 'a.npz')
    write(tmp_path / 'made/a.npz', frames=59)
    assert check.main([str(tmp_path / 'a.mp4'), '--labels', str(tmp_path / 'made')]) == 2
    assert 'has 60 frames' in capsys.readouterr().err
