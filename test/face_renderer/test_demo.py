"""The demo clip that is in the repository, and its labels."""

from pathlib import Path

import cv2
import numpy as np
import pytest

MEDIA = Path(__file__).resolve().parents[2] / 'media'


@pytest.fixture(scope='module')
def labels():
    with np.load(MEDIA / 'demo.npz', allow_pickle=False) as data:
        return dict(data)


@pytest.fixture(scope='module')
def frames():
    capture = cv2.VideoCapture(str(MEDIA / 'demo.mp4'))
    found = []
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        found.append(frame)
    return found


def test_the_clip_is_small_and_complete(frames, labels):
    assert (MEDIA / 'demo.mp4').stat().st_size < 700_000
    assert (MEDIA / 'demo.npz').stat().st_size < 300_000
    assert len(frames) == len(labels['blendshapes']) == 420
    assert labels['names'].shape == (52,) and labels['names'][0] == '_neutral'
    assert labels['landmarks98'].shape == (420, 98, 2)
    assert labels['head_pose'].shape == (420, 4, 4)
    assert float(labels['fps']) == 30.0


def test_it_shows_what_it_promises(labels):
    names = list(labels['names'])
    peak = labels['blendshapes'].max(0)
    for name in (
        'mouthSmileLeft',
        'browInnerUp',
        'eyeBlinkRight',
        'jawOpen',
        'mouthPucker',
        'browDownLeft',
    ):
        assert peak[names.index(name)] > 0.5, name
    yaw = np.arctan2(labels['head_pose'][:, 0, 2], labels['head_pose'][:, 2, 2])
    assert np.degrees(yaw.max()) > 15 and np.degrees(yaw.min()) < -15
    times = dict(zip(labels['event_names'], labels['event_times'], strict=True))
    assert {'smile', 'surprise', 'speech', 'pucker', 'gaze', 'head', 'blink', 'wink'} <= set(times)


def test_a_wink_closes_one_eye(labels):
    names = list(labels['names'])
    start, end = dict(zip(labels['event_names'], labels['event_times'], strict=True))['wink']
    during = labels['blendshapes'][round(start * 30) : round(end * 30)]
    left, right = (during[:, names.index(f'eyeBlink{side}')].max() for side in ('Left', 'Right'))
    assert left > 0.95 and right < 0.3


def test_rest_is_still(frames, labels):
    before, after = (
        cv2.cvtColor(f, cv2.COLOR_BGR2GRAY).astype(float) for f in (frames[3], frames[10])
    )
    assert np.abs(before - after).mean() < 1.5
    moved = np.linalg.norm(labels['landmarks98'][10] - labels['landmarks98'][3], axis=1)
    assert moved.max() < 0.5


def test_opencv_finds_the_face(frames, labels):
    if not hasattr(cv2, 'CascadeClassifier') or not hasattr(cv2, 'data'):
        pytest.skip('this OpenCV has no cascades')
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + 'haarcascade_frontalface_default.xml')
    if cascade.empty():
        pytest.skip('this OpenCV has no cascades')
    picked = range(0, 420, 14)
    hits = 0
    for i in picked:
        grey = cv2.cvtColor(frames[i], cv2.COLOR_BGR2GRAY)
        centre = labels['landmarks98'][i].mean(0)
        for x, y, w, h in cascade.detectMultiScale(grey, 1.1, 5, minSize=(80, 80)):
            if x < centre[0] < x + w and y < centre[1] < y + h:
                hits += 1
                break
    assert hits >= 0.95 * len(picked)
