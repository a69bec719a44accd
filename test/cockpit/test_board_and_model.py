"""What a slow reader finds, and what the page may ask of the robot's model."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from kf_imitation.cockpit.board import HISTORY, Board
from kf_imitation.cockpit.model import head_model
from kf_imitation.robot import load_robot


def test_a_slow_reader_finds_the_newest_value_once():
    board = Board()
    for number in range(1000):
        board.put('joints', number)
    mark, found = board.changes(0)
    assert found == {'joints': 999}
    assert board.changes(mark) == (mark, {})


def test_a_history_is_bounded_and_each_reader_gets_its_new_events():
    board = Board()
    board.append('scores', 1)
    mark, found = board.changes(0)
    assert found == {'scores': [1]}
    for number in range(3 * HISTORY):
        board.append('scores', number)
    assert len(board.changes(mark)[1]['scores']) == HISTORY
    assert board.changes(mark, frozenset({'scores'}))[1] == {}


def test_what_belongs_to_a_run_is_forgotten_without_watchers():
    board = Board()
    board.put('robot', 'sim_face')
    board.put('joints', 1)
    board.append('scores', 1)
    board.keep_only(('robot',))
    assert board.changes(0)[1] == {'robot': 'sim_face'}


@pytest.mark.parametrize('name', ['sim_face', 'face22', 'xl330_face'])
def test_the_model_of_every_robot_has_all_its_joints_and_meshes(name):
    robot = load_robot(name)
    model = head_model(robot)
    root = ET.fromstring(model.urdf)
    assert set(robot.names) <= {joint.get('name') for joint in root.iter('joint')}
    assert {mesh.get('filename') for mesh in root.iter('mesh')} == set(model.meshes)
    assert not model.missing


def test_meshes_are_found_next_to_a_urdf_and_files_of_other_kinds_never(tmp_path):
    (tmp_path / 'nose.stl').write_bytes(b'mesh')
    (tmp_path / 'secret.txt').write_text('secret')
    visuals = ''.join(
        f'<visual><geometry><mesh filename="{name}"/></geometry></visual>'
        for name in (
            'nose.stl',
            'secret.txt',
            '/etc/passwd',
            'gone.stl',
            'package://mine/nose.stl',
        )
    )
    (tmp_path / 'head.urdf').write_text(f'<robot name="r"><link name="l">{visuals}</link></robot>')
    robot = replace(load_robot('sim_face'), urdf='head.urdf', source=str(tmp_path / 'r.yaml'))
    model = head_model(robot)
    assert set(model.meshes.values()) == {tmp_path / 'nose.stl'}
    assert set(model.missing) == {'secret.txt', '/etc/passwd', 'gone.stl'}
