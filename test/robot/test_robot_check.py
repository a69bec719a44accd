"""`robot check` lists every fault of a file and of its URDF."""

import pytest
import yaml

from kf_imitation.cli.main import main
from kf_imitation.errors import ConfigError
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot, robot_names
from kf_imitation.robot.urdf import description, urdf


@pytest.fixture
def head(tmp_path):
    """Write a robot file with changes; returns its path."""

    def write(change=lambda document: None):
        text = share_path('config/robots/xl330_face.yaml').read_text(encoding='utf-8')
        document = yaml.safe_load(text)
        change(document)
        path = tmp_path / 'head.yaml'
        path.write_text(yaml.safe_dump(document), encoding='utf-8')
        return path

    return write


@pytest.mark.parametrize('name', robot_names())
def test_every_robot_that_comes_along_passes(name, capsys):
    assert main(['robot', 'check', name]) == 0
    assert 'no problems' in capsys.readouterr().out


def test_a_joint_that_is_no_mapping_does_not_hide_the_faults_of_the_others(head):
    """One wrong item once hid all joints, and the list was called empty."""

    def spoil(document):
        document['joints'][0]['id'] = 300
        document['joints'].append(7)
        document['joints'].append({'name': 'ear'})

    with pytest.raises(ConfigError) as error:
        load_robot(str(head(spoil)))
    faults = '\n'.join(error.value.faults)
    count = len(load_robot('xl330_face').joints)
    assert f'joints[{count}] = 7 must be a mapping' in faults
    assert '.id = 300' in faults
    assert 'joints.ear.id is missing' in faults
    assert 'at least one joint' not in faults


@pytest.mark.parametrize(
    ('key', 'value', 'said'),
    [
        ('name', '', "name = '' must not be empty"),
        ('name', ' ', "name = ' ' must not be empty"),
        ('name', 'a\nb', r"name = 'a\nb' must have no slashes and no control characters"),
        ('name', '../../evil', "name = '../../evil' must have no slashes"),
        ('port', '', "port = '' must be a serial device, simulated or none"),
        ('port', __file__, f'port = {__file__!r} is a file, must be a serial device'),
        ('port', '/', "port = '/' is a folder, must be a serial device"),
    ],
)
def test_a_name_or_port_that_nothing_can_have_is_a_fault(head, key, value, said):
    with pytest.raises(ConfigError) as error:
        load_robot(str(head(lambda document: document.update({key: value}))))
    (fault,) = error.value.faults
    assert fault.startswith(said)


@pytest.mark.parametrize(
    ('key', 'value', 'rule'),
    [
        ('name', '', 'must not be empty'),
        ('name', 'kiefer ü/../x', 'must have no slashes'),
        ('max_velocity_rad_s', 1e-300, 'must be from 0.02 to 50'),
        ('max_acceleration_rad_s2', 0.05, 'must be from 0.1 to 1000'),
        ('max_jerk_rad_s3', 1e-300, 'must be from 0.1 to 100000'),
    ],
)
def test_a_joint_that_has_no_name_or_cannot_move_is_a_fault(head, key, value, rule):
    def spoil(document):
        document['joints'][0][key] = value
        document['coupled_limits'] = []

    with pytest.raises(ConfigError) as error:
        load_robot(str(head(spoil)))
    (fault,) = error.value.faults
    assert f'.{key} = {value!r} {rule}' in fault.replace('joints[0].', 'joints.x.')


@pytest.mark.parametrize('joints', [[], 3])
def test_without_joints_nothing_else_is_said(head, joints):
    def spoil(document):
        document.update(joints=joints, reflex=['jaw'])

    with pytest.raises(ConfigError) as error:
        load_robot(str(head(spoil)))
    (fault,) = error.value.faults
    assert fault.startswith(f'joints = {joints} must')


def test_a_reflex_of_a_joint_that_does_not_exist_is_told_from_one_that_cannot_be(head):
    with pytest.raises(ConfigError) as error:
        load_robot(str(head(lambda document: document.update(reflex=['jaww', 'neck_yaw']))))
    unknown, slow = error.value.faults
    assert unknown == "reflex = 'jaww' is not a joint (did you mean jaw?)"
    assert slow.startswith("reflex = 'neck_yaw' must be a joint that jaw_open, ")


def test_a_urdf_that_is_not_there_is_a_fault_next_to_the_others(head):
    path = head(lambda document: document.update(urdf='nowhere.urdf', exit='drop'))
    with pytest.raises(ConfigError) as error:
        load_robot(str(path))
    assert len(error.value.faults) == 2
    assert "urdf = 'nowhere.urdf' must be a file next to" in '\n'.join(error.value.faults)


def test_a_urdf_next_to_the_robot_file_is_used_and_every_difference_is_reported(
    head, tmp_path, capsys
):
    path = head(lambda document: document.update(urdf='own.urdf'))
    robot = load_robot('xl330_face')
    first, second, third = robot.names[:3]
    own = tmp_path / 'own.urdf'
    own.write_text(urdf(robot), encoding='utf-8')
    assert main(['robot', 'check', str(path)]) == 0
    assert description(load_robot(str(path))) == own.read_text(encoding='utf-8')
    low = f'{robot.joints[1].limits_rad[0]:g}'
    text = own.read_text(encoding='utf-8').replace(f'joint name="{first}"', 'joint name="nose"')
    at = text.index(f'joint name="{second}"')
    own.write_text(text[:at] + text[at:].replace(f'lower="{low}"', 'lower="-3"', 1), 'utf-8')
    assert main(['robot', 'check', str(path)]) == 2
    told = capsys.readouterr().err
    assert f'own.urdf: joint {first} is missing' in told
    assert f'own.urdf: nose is not a joint of {robot.name}' in told
    assert f'own.urdf: lower of {second} = -3 must be {low}' in told
    assert third not in told


def test_a_urdf_that_is_no_xml_is_reported(head, tmp_path, capsys):
    (tmp_path / 'own.urdf').write_text('<robot', encoding='utf-8')
    assert main(['robot', 'check', str(head(lambda d: d.update(urdf='own.urdf')))]) == 2
    assert 'own.urdf: cannot be read' in capsys.readouterr().err


def test_a_folder_is_no_robot(tmp_path, capsys):
    assert main(['robot', 'check', str(tmp_path)]) == 2
    assert f'robot {tmp_path}: 1 problem\n  - is a folder, and no robot' in capsys.readouterr().err


def test_lids_that_miss_blinks_or_do_not_shut_get_advice(head, capsys):
    def straight(document):
        document['joints'][3]['channels'] = {'eye_close_left': -0.6}

    assert main(['robot', 'check', str(head(straight))]) == 0
    assert 'advice: eyelid_left (eye_close_left): a number' in capsys.readouterr().out

    def slow(document):
        document['joints'][3]['channels'] = {'eye_close_left': 'down', 'eyeSquintLeft': -0.1}

    assert main(['robot', 'check', str(head(slow))]) == 0
    told = capsys.readouterr().out
    assert 'advice: eyelid_left follows keyframes alone' in told and 'eyeSquintLeft' in told
    assert main(['robot', 'check', 'sim_face']) == 0
    assert 'advice' not in capsys.readouterr().out
