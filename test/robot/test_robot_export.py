"""Heads in other programs: MuJoCo moves them, ros2_control finds the parameters that it knows."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from kf_imitation.actuators.dynamixel.units import ticks
from kf_imitation.cli.main import main
from kf_imitation.replay.simulation import VirtualHead
from kf_imitation.robot import BusConfig, load_robot, robot_names
from kf_imitation.robot.export import export
from kf_imitation.robot.urdf import LID_M, description

# hardware parameters and gpio parameters that the packages read, from their sources.
KNOWN_TO = {
    'mujoco': {'mujoco_model', 'initial_keyframe'},
    'dynamixel': {
        'port_name',
        'baud_rate',
        'error_timeout_ms',
        'dynamixel_model_folder',
        'number_of_joints',
        'number_of_transmissions',
        'transmission_to_joint_matrix',
        'joint_to_transmission_matrix',
    },
}


@pytest.fixture
def mujoco():
    return pytest.importorskip('mujoco', reason="pip install 'mujoco<4'")


def model_of(mujoco, name, folder):
    export(load_robot(name), folder, mjcf=True, hardware='')
    return mujoco.MjModel.from_xml_path(str(folder / f'{name}.xml'))


def moment(link):
    inertia = {k: float(v) for k, v in link.find('inertial/inertia').attrib.items()}
    xx, yy, zz, xy, xz, yz = (inertia[f'i{k}'] for k in ('xx', 'yy', 'zz', 'xy', 'xz', 'yz'))
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


@pytest.mark.parametrize('name', robot_names())
def test_every_link_that_moves_has_a_mass_and_an_inertia_that_a_body_can_have(name):
    root = ET.fromstring(description(load_robot(name)))
    links = [link for link in root.findall('link') if link.get('name') != 'base_link']
    for link in links:
        assert float(link.find('inertial/mass').get('value')) > 0
        low, middle, high = np.linalg.eigvalsh(moment(link))
        assert low > 0 and high <= (low + middle) * (1 + 1e-4)
    assert root.find('link[@name="base_link"]/inertial') is None  # KDL takes none at the root


def test_the_inertia_of_a_ball_and_of_a_cap_are_those_of_the_textbook():
    links = ET.fromstring(description(load_robot('sim_face'))).findall('link')
    link = {link.get('name'): link for link in links}
    mass = float(link['neck_yaw_link'].find('inertial/mass').get('value'))
    a, c = 0.034, 0.022
    assert mass == pytest.approx(200 * 4 / 3 * np.pi * a * a * c, rel=1e-4)
    expected = np.diag([a * a + c * c, a * a + c * c, 2 * a * a]) * mass / 5
    np.testing.assert_allclose(moment(link['neck_yaw_link']), expected, rtol=1e-4)
    lid = link['eyelid_left_link']
    mass, r = float(lid.find('inertial/mass').get('value')), 1.03 * LID_M
    centre = [float(v) for v in lid.find('inertial/origin').get('xyz').split()]
    assert np.linalg.norm(centre) == pytest.approx(3 / 8 * r, rel=1e-4)
    # Half a ball about its centre of mass: 83/320 m r² across, 2/5 m r² along its axis.
    across, _, along = np.linalg.eigvalsh(moment(lid)) / (mass * r * r)
    assert (across, along) == pytest.approx((83 / 320, 2 / 5), rel=1e-3)


@pytest.mark.parametrize('name', robot_names())
def test_mujoco_loads_every_robot_with_its_limits_at_rest_without_a_contact(
    mujoco, name, tmp_path
):
    robot, model = load_robot(name), model_of(mujoco, name, tmp_path)
    assert [model.actuator(k).name for k in range(model.nu)] == list(robot.names)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key('rest').id)
    mujoco.mj_forward(model, data)
    assert data.ncon == 0
    for joint in robot.joints:
        assert model.joint(joint.name).range == pytest.approx(joint.limits_rad)
        assert data.joint(joint.name).qpos[0] == pytest.approx(joint.neutral_rad)
        assert data.actuator(joint.name).ctrl[0] == pytest.approx(joint.neutral_rad)


def test_the_joints_of_mujoco_follow_those_of_a_replay_and_mirrored_ones_their_leader(
    mujoco, tmp_path
):
    robot, model = load_robot('sim_face'), model_of(mujoco, 'sim_face', tmp_path)
    head = VirtualHead(robot, 100.0, hold_s=9.0)
    head.start(0)
    limits, random = np.array([j.limits_rad for j in robot.joints]), np.random.default_rng(1)
    for k in range(3):
        goal = robot.neutral_rad + 0.6 * (random.uniform(*limits.T) - robot.neutral_rad)
        head.set_goal(goal, round((0.1 + 0.5 * k) * 1e9), k + 1)
    head.advance(1_600_000_000)
    states = head.trace().present_rad
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key('rest').id)
    places = [model.joint(joint).qposadr[0] for joint in robot.names]
    followed = []
    for state in states:
        data.ctrl[:] = state
        mujoco.mj_step(model, data, round(0.01 / model.opt.timestep))
        followed.append(data.qpos[places])
    # A position actuator comes after its goal; the best delay is a few cycles.
    errors = [
        np.sqrt(np.mean((np.array(followed)[late:] - states[: len(states) - late]) ** 2))
        for late in range(1, 8)
    ]
    assert np.ptp(states, axis=0).max() > 0.5 and min(errors) < 0.03
    assert data.warning.number.sum() == 0
    for joint in range(model.njnt):
        if (mirror := model.joint(joint).name).endswith('_mirror'):
            leader = data.joint(mirror.removesuffix('_mirror')).qpos[0]
            assert data.joint(mirror).qpos[0] == pytest.approx(leader, abs=0.02)


@pytest.mark.parametrize('hardware', KNOWN_TO)
def test_ros2_control_gets_every_joint_and_the_parameters_that_its_plugin_reads(
    hardware, tmp_path, request, capsys
):
    if hardware == 'mujoco':
        request.getfixturevalue('mujoco')
    command = ['robot', 'export', 'face22', '--out', str(tmp_path), '--ros2-control', hardware]
    assert main(command) == 0
    assert str(tmp_path / 'face22.urdf') in capsys.readouterr().out
    robot, root = load_robot('face22'), ET.parse(tmp_path / 'face22.urdf').getroot()
    tag = root.find('ros2_control')
    given = {param.get('name'): param.text for param in tag.findall('hardware/param')}
    assert set(given) == KNOWN_TO[hardware]
    assert [joint.get('name') for joint in tag.findall('joint')] == list(robot.names)
    for joint, config in zip(tag.findall('joint'), robot.joints, strict=True):
        command = joint.find('command_interface')
        assert command.get('name') == 'position'
        assert float(command.find('param[@name="max"]').text) == config.limits_rad[1]


def test_a_servo_turned_around_or_with_another_zero_is_the_same_joint_in_ros2_control(tmp_path):
    """Its plugin turns a tick into rad by factor and offset, and then by the matrix."""
    robot = load_robot('xl330_face')
    robot = replace(robot, joints=tuple(replace(j, zero_tick=1900) for j in robot.joints))
    export(robot, tmp_path, mjcf=False, hardware='dynamixel')
    tag = ET.parse(tmp_path / f'{robot.name}.urdf').getroot().find('ros2_control')
    matrix = tag.find('hardware/param[@name="transmission_to_joint_matrix"]').text.split(', ')
    matrix = np.array(matrix, float).reshape(len(robot.joints), -1)
    assert -1 in matrix and np.array_equal(np.abs(matrix), np.eye(len(robot.joints)))
    for k, (joint, gpio) in enumerate(zip(robot.joints, tag.findall('gpio'), strict=True)):
        assert gpio.find('param[@name="ID"]').text == str(joint.id)
        present, goal = gpio.find('param[@name="[unit info]"]').text.split('; ')
        item, factor, unit, sign, offset = present.split(', ')
        assert (item, unit, sign) == ('Present Position', 'rad', 'signed')
        assert goal == present.replace('Present', 'Goal')
        tick = ticks(0.3, joint.zero_tick, joint.direction)
        angle = matrix[k, k] * (tick * float(factor) + float(offset))
        assert angle == pytest.approx(0.3, abs=1e-3)


def test_every_bus_of_a_head_is_a_hardware_of_its_own_in_ros2_control(tmp_path):
    robot = load_robot('xl330_face')
    lines = (BusConfig('neck', '/dev/a', 1_000_000), BusConfig('face', '/dev/b', 2_000_000))
    joints = [replace(j, bus=lines[k > 1].name) for k, j in enumerate(robot.joints)]
    export(replace(robot, joints=tuple(joints), buses=lines), tmp_path, False, 'dynamixel')
    tags = ET.parse(tmp_path / 'xl330_face.urdf').getroot().findall('ros2_control')
    assert [tag.get('name') for tag in tags] == ['xl330_face_neck', 'xl330_face_face']
    assert [tag.find('hardware/param').text for tag in tags] == ['/dev/a', '/dev/b']
    assert [len(tag.findall('gpio')) for tag in tags] == [2, len(joints) - 2]


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    (tmp_path / 'file').touch()
    assert main(['robot', 'export', 'sim_face', '--out', str(tmp_path / 'file')]) == 2
    assert f'{tmp_path}/file: cannot be written' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['x.xml', 'x.urdf'])
def test_an_export_to_a_file_is_told_that_it_needs_a_folder(tmp_path, capsys, name):
    assert main(['robot', 'export', 'sim_face', '--out', str(tmp_path / name)]) == 2
    assert f'--out {tmp_path}/{name}: names a folder' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
