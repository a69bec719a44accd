"""`kf_imitation evaluate` on the published layouts, made of our own rendered clip."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from kf_imitation.cli import main as cli

DEMO = Path(__file__).resolve().parents[2] / 'media/demo.mp4'
FRAMES = 30
POINTS = '\n'.join(f'{100 + i} {100 + i}' for i in range(68))


def write_clip(video, labels):
    """The first second of the demo with its exact labels."""
    video.parent.mkdir(parents=True, exist_ok=True)
    labels.parent.mkdir(parents=True, exist_ok=True)
    reader = cv2.VideoCapture(str(DEMO))
    images = [reader.read()[1] for _ in range(FRAMES)]
    size = images[0].shape[1::-1]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 30, size)
    for image in images:
        writer.write(image)
    writer.release()
    with np.load(DEMO.with_suffix('.npz')) as data:
        np.savez(
            labels,
            names=data['names'],
            fps=data['fps'],
            landmarks_q=np.zeros((FRAMES, 478, 3), np.int16),
            **{key: data[key][:FRAMES] for key in ('blendshapes', 'head_pose', 'valid')},
        )


@pytest.mark.timeout(300)  # a model and the face tracker, on a busy machine
@pytest.mark.parametrize(
    ('clip', 'elsewhere'),
    [
        ('dev/id10001/abc/00001.avi', False),  # VoxCeleb
        ('001/vid.avi', True),  # 300VW
        ('train/Anger/0001.avi', False),  # CAER
    ],
)
def test_a_published_layout_is_measured(tmp_path, capsys, clip, elsewhere):
    tree, labels = tmp_path / 'tree', tmp_path / ('labels' if elsewhere else 'tree')
    write_clip(tree / clip, (labels / clip).with_suffix('.npz'))
    if elsewhere:
        (tree / '001/annot').mkdir()
        for i in range(FRAMES):
            text = f'version: 1\nn_points: 68\n{{\n{POINTS}\n}}\n'
            (tree / f'001/annot/{i + 1:06d}.pts').write_text(text)
    out, scores = tmp_path / 'out.json', tmp_path / 'scores'
    command = ['evaluate', str(tree), '--methods', 'lite', '--threads', '1']
    command += ['--json', str(out), '--dump', str(scores)]
    command += ['--labels', str(labels)] if elsewhere else []
    assert cli.main(command) == 0, capsys.readouterr().err
    (table,) = scores.rglob('*.csv')
    rows = table.read_text().splitlines()
    assert rows[0] == 'frame,stamp_s,score,keyframe,committed_s' and len(rows) == FRAMES + 1
    clips = json.loads(out.read_text())['methods']['lite']['clips']
    assert list(clips) == [clip.removesuffix('.avi')]
