"""The drawn robot face and the side-by-side picture."""

import resource
from collections import namedtuple

import cv2
import numpy as np
import pytest

from kf_imitation.data_types import (
    CHANNELS,
    UNIT_CHANNELS,
    FaceImage,
    FaceRegion,
    FrameScore,
    Landmarks,
)
from kf_imitation.output_files import OutputError, new_file
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.visualization import video_writer
from kf_imitation.visualization.avatar import _BROW, _LIP, _MOUTH, Avatar, draw_face
from kf_imitation.visualization.drawing import draw_points, draw_region, face_thumbnail
from kf_imitation.visualization.side_by_side import Mark, SideBySide
from kf_imitation.visualization.video_writer import VideoWriter, check_suffix


def face(**channels):
    values = np.zeros(len(CHANNELS), np.float32)
    for name, value in channels.items():
        values[CHANNELS.index(name)] = value
    return draw_face(values, 240).astype(int)


def changed(picture):
    """Columns and rows that differ from the neutral face, as shares of the picture."""
    rows, columns = np.nonzero(np.abs(picture - face()).sum(axis=2) > 30)
    return columns / 240, rows / 240


@pytest.mark.parametrize('name', CHANNELS)
def test_every_channel_shows(name):
    columns, _ = changed(face(**{name: 0.4}))
    assert len(columns) > 40


def test_left_is_the_robots_own_left_which_the_viewer_sees_on_the_right():
    assert changed(face(eye_close_left=1))[0].min() > 0.5
    assert changed(face(eye_close_right=1))[0].max() < 0.5
    assert changed(face(mouth_smile_left=1))[0].mean() > 0.5


def of_colour(picture, colour, within=40):
    """Rows and columns of the pixels of a colour, from picture left to right."""
    return np.nonzero(np.abs(picture - np.array(colour)).max(axis=2) < within)


def brows(picture):
    rows, columns = of_colour(picture[45:105, 55:185], _BROW, 12)  # without the background
    upper = rows < rows.min() + 40  # without the lids
    return rows[upper], columns[upper]


def test_the_head_turns_nods_and_tilts_the_way_the_angles_say():
    rows, columns = brows(face())
    assert brows(face(head_yaw=0.3))[1].mean() > columns.mean() + 3  # to its left: picture right
    assert brows(face(head_pitch=0.2))[0].mean() > rows.mean() + 3  # down
    rows, columns = brows(face(head_roll=0.25))  # to its right: the picture's left brow sinks
    assert rows[columns < columns.mean()].mean() > rows[columns > columns.mean()].mean() + 5


def test_a_mouth_with_unlike_corners_has_no_step():
    """Left and right met in the middle of the lips at different heights."""
    lips = face(mouth_smile_left=1, mouth_frown_right=1)[120:210, 110:130]
    red = lips[..., 2] - lips[..., 1] > 30
    heights = np.arange(len(lips)) @ red / red.sum(axis=0)
    assert np.abs(np.diff(heights)).max() < 1.5


def iris(picture):
    """How much blue is between the brows and the cheeks."""
    eyes = picture[90:125, 55:185]
    return int((eyes[..., 0] - eyes[..., 2] > 60).sum())


@pytest.mark.parametrize('smile', [0.0, 0.5, 1.0])
@pytest.mark.parametrize('gaze', [-0.4, 0.4])
def test_closed_lids_leave_nothing_of_an_eye(smile, gaze):
    """What a lid left open looked like a face that never quite blinks: people shut at 0.75."""
    about = {'mouth_smile_left': smile, 'gaze_yaw': gaze, 'gaze_pitch': gaze}
    seen = [iris(face(**about, eye_close_left=c, eye_close_right=c)) for c in (0, 0.3, 0.8, 1)]
    assert seen[0] > 1.2 * seen[1] > 100 and seen[2] == seen[3] == 0


def test_a_mouth_opens_further_the_further_the_jaw_sinks():
    inside = []
    for jaw in np.linspace(0, 1, 6):
        rows, _ = of_colour(face(jaw_open=jaw)[130:195, 100:140], _MOUTH)
        inside.append(np.ptp(rows) if len(rows) else 0)
    assert inside[0] == 0 < inside[1]
    assert (np.diff(inside) >= 0).all() and inside[-1] > 12


@pytest.mark.parametrize('strengths', [(0.0, 0.3), (0.3, 0.6), (0.6, 1.0)])
@pytest.mark.parametrize('name', UNIT_CHANNELS)
def test_strengths_of_an_expression_can_be_told_apart(name, strengths):
    """A smile of 30 % and one of 60 % differed by two pixels at the corners."""
    low, high = (face(**{name: strength}) for strength in strengths)
    assert (np.abs(high - low).max(axis=2) > 60).sum() > 40


def corner_height(smile):
    """How far the corner of the mouth is above the middle of the lips [px]."""
    rows, columns = of_colour(face(mouth_smile_left=smile, mouth_smile_right=smile), _LIP)
    return rows[np.abs(columns - 120) < 3].mean() - rows[columns > columns.max() - 4].mean()


def test_every_third_of_a_smile_lifts_the_corners_by_several_pixels():
    assert (np.diff([corner_height(smile) for smile in (0.0, 0.3, 0.6, 1.0)]) > 4).all()


def test_a_pucker_is_round():
    rows, columns = of_colour(face(mouth_pucker=1.0), _LIP)
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(1, abs=0.2)
    at_rest = np.ptp(of_colour(face(), _LIP)[1])
    assert np.ptp(columns) < 0.5 * at_rest


def test_extreme_values_are_drawn_too():
    for value in (-10.0, 10.0):
        assert draw_face(np.full(len(CHANNELS), value, np.float32), 120).shape == (120, 120, 3)


def test_any_robot_is_drawn_from_its_joint_positions():
    robot = load_robot('sim_face')
    avatar = Avatar(JointMapping(robot).channels, 120)
    neutral = robot.neutral_rad
    jaw = neutral.copy()
    jaw[robot.names.index('jaw')] = robot.joints[robot.names.index('jaw')].limits_rad[1]
    assert np.abs(avatar.draw(neutral).astype(int) - avatar.draw(jaw)).max() > 50


def test_a_thumbnail_shows_the_face_square_with_its_landmarks():
    grey = np.full((50, 40, 3), 128, np.uint8)
    points = np.tile(np.float32([[120, 225]]), (98, 1))  # the middle of the face
    marks = Landmarks(0, points, np.ones(98, np.float32))
    picture = face_thumbnail(FaceImage(0, grey, 100, 200, 40, 50), marks, 100)
    assert picture.shape == (100, 100, 3)
    assert (picture[:, :9] == 32).all()  # beyond the frame's border
    drawn = np.argwhere(np.abs(picture.astype(int) - 128).max(axis=2)[:, 12:88] > 40)
    row, column = drawn.mean(axis=0)
    assert (row, column + 12) == pytest.approx((50, 50), abs=2)


def test_drawing_outside_the_image_is_harmless():
    picture = np.zeros((20, 20, 3), np.uint8)
    draw_points(picture, np.full((98, 2), -1e4, np.float32))
    draw_region(picture, FaceRegion(-50, -50, 500))


def side_by_side(count=30):
    scores = [FrameScore(i, i * 40_000_000, 0.3 if i else None) for i in range(count)]
    points = np.tile(np.float32([[60, 60]]), (98, 1))
    landmarks = Landmarks(0, points, np.ones(98, np.float32))
    mark = Mark(1, 400_000_000, 560_000_000, 0.3, landmarks)
    return SideBySide((320, 240), scores, [mark])


def test_a_keyframe_is_flagged_when_it_happens_and_again_when_the_robot_knows():
    picture = side_by_side()
    frame = np.zeros((240, 320, 3), np.uint8)
    robot = np.zeros((480, 480, 3), np.uint8)

    def borders(stamp_ns):
        drawn = picture.draw(frame, stamp_ns, FaceRegion(10, 10, 100), robot)
        width, height = picture.size
        assert drawn.shape == (height, width, 3)
        return bool(drawn[1, 1, 2] > 200), bool(drawn[1, width - 2, 2] > 200)

    assert borders(360_000_000) == (False, False)
    assert borders(400_000_000) == (True, False)
    assert borders(560_000_000) == (True, True)
    assert borders(1_000_000_000) == (False, False)


def test_landmarks_fade_after_their_keyframe_and_stay_in_the_inset():
    picture = side_by_side()
    frame = np.full((240, 320, 3), 90, np.uint8)
    robot = np.zeros((480, 480, 3), np.uint8)

    def shown(stamp_ns):
        drawn = picture.draw(frame, stamp_ns, FaceRegion(10, 10, 100), robot)
        inset = drawn[480 - 180 : 480 - 12, 640 - 180 : 640 - 12]
        return int(np.abs(drawn[110:130, 110:130].astype(int) - 90).max()), int(np.ptp(inset))

    (before, plain), (at, _), (later, framed), (long_after, _) = map(
        shown, (360_000_000, 400_000_000, 560_000_000, 1_000_000_000)
    )
    assert before == 0 and long_after == 0
    assert at > later > 10
    assert plain == 0 and framed > 100


@pytest.mark.parametrize('suffix', ['.mp4', '.avi'])
def test_a_video_has_all_its_frames(tmp_path, suffix):
    path = tmp_path / f'v{suffix}'
    with VideoWriter(path, 25.0, (64, 48)) as video:
        for value in range(10):
            video.write(np.full((48, 64, 3), value * 20, np.uint8))
    source, count = cv2.VideoCapture(str(path)), 0
    while source.read()[0]:
        count += 1
    assert count == 10


@pytest.fixture
def small_files():
    """Let no file grow beyond 100 kB, as if the disk had no more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize('library', ['PyAV', 'OpenCV'])
@pytest.mark.parametrize('suffix', ['.mp4', '.avi'])
def test_a_video_that_a_full_disk_cuts_is_rejected(
    tmp_path, small_files, monkeypatch, library, suffix
):
    if library == 'OpenCV':
        monkeypatch.setattr(video_writer, 'av', None)
    elif video_writer.av is None:
        pytest.skip('PyAV is not installed')
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    path = tmp_path / f'v{suffix}'
    with (
        pytest.raises(OutputError, match='cannot be written: File too large'),
        new_file(path) as partial,
        VideoWriter(partial, 25.0, (320, 240)) as video,
    ):
        for shift in range(20):
            video.write(np.roll(noise, 40 * shift, axis=1))
    assert list(tmp_path.iterdir()) == []


def test_opencv_stops_at_the_frame_where_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer, 'av', None)
    usage = namedtuple('usage', 'total used free')
    frame = np.zeros((48, 64, 3), np.uint8)
    with (
        pytest.raises(OutputError, match='cannot be written: No space left'),
        new_file(tmp_path / 'v.mp4') as partial,
        VideoWriter(partial, 25.0, (64, 48)) as video,
    ):
        video.write(frame)
        monkeypatch.setattr(video_writer.shutil, 'disk_usage', lambda _: usage(9, 9, 0))
        video.write(frame)
    assert list(tmp_path.iterdir()) == []


def test_an_ending_that_cannot_be_written_is_rejected(tmp_path):
    with pytest.raises(OutputError, match='mp4'):
        check_suffix(tmp_path / 'v.gif')


def test_a_video_without_an_ending_is_told_which_one_to_take(tmp_path):
    with pytest.raises(OutputError) as error:
        check_suffix(tmp_path / 'side')
    assert str(error.value) == f'--video {tmp_path}/side: has no ending; use {tmp_path}/side.mp4'
