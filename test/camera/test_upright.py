"""Cameras that hang upside down or on their side: turned once, where frames come in."""

import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from kf_imitation.camera.sources import make_source, open_source
from kf_imitation.camera.test_pattern import draw_face
from kf_imitation.camera.upright import turned, turned_frame
from kf_imitation.cli.main import main
from kf_imitation.data_types import Frame
from kf_imitation.errors import SourceError
from kf_imitation.face.tracker import TURNED_AFTER_S, FaceTracker
from kf_imitation.face_geometry.quarter_turns import quarter_turned
from kf_imitation.parameters.settings import FaceSettings, SourceSettings, UprightSettings
from kf_imitation.replay import run
from kf_imitation.ros_graph.nodes import RunOptions, build_graph

CORNERS = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)


def corners(rotate=0, mirror=False):
    return turned(np.repeat(CORNERS[:, :, None], 3, 2), UprightSettings(rotate, mirror))[..., 0]


@pytest.mark.parametrize(
    ('rotate', 'mirror', 'expected'),
    [
        (0, False, CORNERS),
        (90, False, [[4, 1], [5, 2], [6, 3]]),
        (180, False, [[6, 5, 4], [3, 2, 1]]),
        (270, False, [[3, 6], [2, 5], [1, 4]]),
        (0, True, [[3, 2, 1], [6, 5, 4]]),
        (90, True, [[1, 4], [2, 5], [3, 6]]),
    ],
)
def test_images_turn_clockwise_and_are_mirrored_then(rotate, mirror, expected):
    assert corners(rotate, mirror).tolist() == np.asarray(expected).tolist()


@pytest.fixture
def picture(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:10, :10] = 255  # white at the upper left
    cv2.imwrite(str(tmp_path / '0.png'), image)
    return tmp_path


def test_a_source_on_its_side_has_frames_and_a_camera_of_that_shape(picture):
    source = open_source(str(picture), SourceSettings(upright=UprightSettings(90)))
    frame = source.read()
    assert frame.bgr.shape == (64, 48, 3) and frame.bgr[5, 43].tolist() == [255, 255, 255]
    assert (source.camera.width, source.camera.height) == (48, 64)
    assert source.frame_count == 1 and not source.is_live
    assert source.read() is None
    source.close()
    source.open()
    assert source.read().bgr.shape == (64, 48, 3)


def test_a_turn_that_is_no_quarter_of_a_circle_is_refused(picture):
    with pytest.raises(SourceError, match='rotate = 45: must be 0, 90, 180 or 270'):
        make_source(str(picture), SourceSettings(upright=UprightSettings(45)))


@pytest.mark.parametrize(
    ('source', 'turns', 'stays'),
    [('test-pattern', 'camera', 'keyframe'), ('topic:/camera/image_raw', 'keyframe', 'camera')],
)
def test_one_node_turns_the_images(source, turns, stays):
    nodes = build_graph(RunOptions(source=source, rotate=180, mirror=True)).nodes
    values = {node.name: node.parameters for node in nodes}
    assert (values[turns]['rotate'], values[turns]['mirror']) == (180, True)
    assert stays not in values or not values[stays]['rotate']


def test_an_upside_down_recording_is_read_as_if_it_stood_upright(tmp_path, picture):
    upright = open_source(str(picture)).read().bgr
    cv2.imwrite(str(tmp_path / '0.png'), cv2.rotate(upright, cv2.ROTATE_180))
    settings = SourceSettings(upright=UprightSettings(180))
    assert (open_source(str(tmp_path), settings).read().bgr == upright).all()


def test_replay_turns_the_images_by_its_options(monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(run, 'replay_to_files', lambda *args: given.append(args) or sys.exit(0))
    for options in ([], ['--rotate', '90', '--mirror']):
        with pytest.raises(SystemExit):
            main(['replay', 'clip.mp4', '--out', str(tmp_path / 'out'), *options])
    assert [args[-2] for args in given] == [None, UprightSettings(90, True)]


@pytest.fixture(scope='module')
def upright_face():
    image = np.full((240, 320, 3), 100, np.uint8)
    image[20:220, 60:260] = draw_face(0.0, 200, 200)
    return image


def follow(image, seconds, tracker=None):
    tracker = tracker or FaceTracker(FaceSettings())
    return tracker, [
        tracker.update(Frame(i, round(i * 0.2 * 1e9), image)) for i in range(round(seconds * 5))
    ]


def test_a_face_upside_down_is_said_once_and_is_not_followed(upright_face, caplog):
    upside_down = cv2.rotate(upright_face, cv2.ROTATE_180)
    tracker, regions = follow(upside_down, 3 * TURNED_AFTER_S)
    assert regions == [None] * len(regions)
    assert tracker.turned_deg == 180
    assert tracker.state.endswith('but a turned one: rotate = 180 puts it upright')
    assert [r.message for r in caplog.records] == [
        'a face is seen turned and is not followed: rotate = 180 puts it upright'
    ]


def test_nothing_is_said_of_an_upright_face_or_an_empty_room(upright_face, caplog):
    room = np.random.default_rng(3).integers(90, 110, (240, 320, 3), np.uint8)
    for image in (upright_face, room):
        tracker, _ = follow(image, 2 * TURNED_AFTER_S)
        assert tracker.turned_deg == 0
    assert not caplog.records


@pytest.mark.parametrize('mirror', [False, True])
@pytest.mark.parametrize('rotate', [0, 90, 180, 270])
@pytest.mark.parametrize('better', [0, 90, 180, 270])
def test_the_turn_that_is_advised_is_the_one_to_set(upright_face, caplog, rotate, mirror, better):
    source = quarter_turned(upright_face, -better % 360) if better else upright_face
    frame = turned_frame(Frame(0, 0, source), UprightSettings(rotate, mirror))
    tracker = FaceTracker(FaceSettings())
    for i in range(round(5 * 4 * TURNED_AFTER_S)):
        tracker.update(replace(frame, index=i, stamp_ns=round(i * 0.2e9)))
    advice = [] if rotate == better else [f'rotate = {better} puts it upright']
    assert [r.message.split(': ')[1] for r in caplog.records] == advice


def test_where_another_process_turns_the_images_it_is_said_how_much_is_missing(
    upright_face, caplog
):
    image = quarter_turned(upright_face, 270)
    tracker = FaceTracker(FaceSettings())
    for i in range(round(5 * 4 * TURNED_AFTER_S)):
        tracker.update(Frame(i, round(i * 0.2e9), image, turn_deg=None))
    said = 'images turned clockwise by 90 degrees more show it upright'
    assert [r.message.split(': ')[1] for r in caplog.records] == [said]
    assert tracker.state.endswith(said)
