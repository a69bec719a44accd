"""Paths as people give them: `~`, file URLs, odd names, relative to the file that names them."""

from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from kf_imitation.camera.image_folder import natural_key
from kf_imitation.camera.sources import make_source, open_source
from kf_imitation.cli.main import build_parser, main
from kf_imitation.errors import SourceError
from kf_imitation.head.commissioning import record_path
from kf_imitation.parameters.schema import load_file
from kf_imitation.paths import share_path, user_path
from kf_imitation.robot import load_robot, urdf_path
from kf_imitation.visualization.video_writer import VideoWriter

TEMPLATE = share_path('config/robots/template.yaml').read_text(encoding='utf-8')


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    (tmp_path / 'home').mkdir()
    return tmp_path / 'home'


def film(path):
    with VideoWriter(path, 30.0, (64, 48)) as video:
        for grey in range(5):
            video.write(np.full((48, 64, 3), 40 * grey, np.uint8))
    return path


@pytest.mark.parametrize(
    ('text', 'means'),
    [
        ('~/a.mp4', 'home/a.mp4'),
        ('file://~/a.mp4', 'home/a.mp4'),
        ('a.mp4', 'folder/a.mp4'),
        ('../a.mp4', 'folder/../a.mp4'),
    ],
)
def test_a_path_is_what_its_user_means(home, tmp_path, text, means):
    assert user_path(text, tmp_path / 'folder') == tmp_path / means


def test_a_file_url_may_have_escapes_and_a_host(tmp_path):
    wanted = tmp_path / 'my clip #1.mp4'
    assert user_path(f'file://{quote(str(wanted))}') == wanted
    assert user_path(f'file://localhost{quote(str(wanted))}') == wanted


def test_a_file_that_has_an_escape_in_its_name_is_found_too(tmp_path):
    wanted = tmp_path / 'my%20clip.mp4'
    wanted.touch()
    assert user_path(f'file://{wanted}') == wanted


@pytest.mark.parametrize('text', ['~nobody_has_this_name/a', '~nobody_has_this_name'])
def test_the_home_of_an_unknown_user_is_no_crash(text):
    assert user_path(text) == Path(text)


def test_a_home_works_inside_an_option(home):
    args = build_parser('replay').parse_args(['replay', '~/a.mp4', '--out=~/b', '--video=~/c.mp4'])
    assert (args.out, args.video) == (home / 'b', home / 'c.mp4')


@pytest.mark.parametrize('name', ['12:30:05.mp4', 'my clip.mp4', 'clip%20one.mp4', 'a%03d.mp4'])
def test_a_video_may_have_any_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    film(Path(name))
    for spec in (name, str(tmp_path / name), f'file://{quote(str(tmp_path / name))}'):
        source = open_source(spec)
        try:
            assert source.read().index == 0
        finally:
            source.close()


def test_a_digit_that_is_no_number_names_a_file(tmp_path):
    with pytest.raises(SourceError, match='does not exist'):
        make_source('²', None)
    assert natural_key('²') == [(1, 0, '²')]
    for name in ('a².png', 'a10.png', 'a2.png'):
        cv2.imwrite(str(tmp_path / name), np.zeros((32, 32, 3), np.uint8))
    source = open_source(str(tmp_path))
    assert [path.name for path in source._paths] == ['a2.png', 'a10.png', 'a².png']


def test_paths_in_a_parameter_file_are_seen_from_its_folder(tmp_path, home):
    folder = tmp_path / 'there'
    folder.mkdir()
    (folder / 'head').touch()
    path = folder / 'params.yaml'
    path.write_text(
        'camera: {ros__parameters: {source: clips/one.mp4}}\n'
        'servo: {ros__parameters: {robot: head}}\n'
        'avatar: {ros__parameters: {robot: face22}}\n'
        'landmarks: {ros__parameters: {calibration: anna.yaml}}\n'
        'recorder: {ros__parameters: {directory: ~/bags}}\n'
        'player: {ros__parameters: {bag: file:///my%20bags/one}}\n'
    )
    values = load_file(path)
    assert values['camera']['source'] == str(folder / 'clips/one.mp4')
    assert values['servo']['robot'] == str(folder / 'head')
    assert values['avatar']['robot'] == 'face22'
    assert values['landmarks']['calibration'] == str(folder / 'anna.yaml')
    assert values['recorder']['directory'] == str(home / 'bags')
    assert values['player']['bag'] == '/my bags/one'


@pytest.mark.parametrize(
    'source', ['0', '/dev/video0', 'test-pattern:10', 'rtsp://10.0.0.2/a.mp4', 'https://a.b/c.mp4']
)
def test_cameras_and_urls_in_a_parameter_file_stay_as_they_are(tmp_path, source):
    path = tmp_path / 'params.yaml'
    path.write_text(f"camera: {{ros__parameters: {{source: '{source}'}}}}\n")
    assert load_file(path) == {'camera': {'source': source}}


def test_paths_in_a_robot_file_are_seen_from_its_folder(tmp_path, home):
    (home / 'my head.urdf').write_text('<robot name="x"/>')
    path = tmp_path / 'head.yaml'
    path.write_text(
        TEMPLATE.replace("urdf: ''", 'urdf: ~/my head.urdf').replace(
            "commissioned: ''", f'commissioned: file://{quote(str(tmp_path / "a b.yaml"))}'
        )
    )
    robot = load_robot(str(path))
    assert urdf_path(robot) == home / 'my head.urdf'
    assert record_path(robot) == tmp_path / 'a b.yaml'


@pytest.mark.parametrize(
    'words',
    [
        ['robot', 'check', 'x' * 300],
        ['bag', 'info', 'x' * 300],
        ['replay', 'x' * 5000, '--out', 'there'],
        ['mimic', '--source', 'test-pattern', '--record', 'x' * 300],
    ],
)
def test_a_name_that_no_file_can_have_is_no_crash(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert 'no file can have a name as long as this' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
