import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS, Expression
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot, robot_names
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.robot.meshes import MESHES, stl
from kf_imitation.robot.urdf import LOWER_EDGE, UPPER_EDGE, description, urdf

RIM = 0.075  # angle that the rim of a lid covers, seen from the middle of the eye
WITH_URDF = [name for name in robot_names() if load_robot(name).urdf]


@pytest.mark.parametrize('name', WITH_URDF)
def test_names_and_limits_of_the_urdf_are_those_of_the_robot_file(name):
    robot = load_robot(name)
    root = ET.parse(share_path(f'urdf/{robot.urdf}')).getroot()
    joints = {
        joint.get('name'): joint.find('limit')
        for joint in root.findall('joint')
        if joint.get('type') == 'revolute' and joint.find('mimic') is None
    }
    assert set(joints) == set(robot.names)
    for joint in robot.joints:
        limit = joints[joint.name]
        assert float(limit.get('lower')) == pytest.approx(joint.limits_rad[0])
        assert float(limit.get('upper')) == pytest.approx(joint.limits_rad[1])
        assert float(limit.get('velocity')) == pytest.approx(joint.max_velocity_rad_s)


@pytest.mark.parametrize('name', WITH_URDF)
def test_the_urdf_is_what_the_command_makes(name):
    robot = load_robot(name)
    assert share_path(f'urdf/{robot.urdf}').read_text(encoding='utf-8') == urdf(robot)


@pytest.mark.parametrize('name', WITH_URDF)
def test_the_links_form_one_tree(name):
    root = ET.parse(share_path(f'urdf/{load_robot(name).urdf}')).getroot()
    links = {link.get('name') for link in root.findall('link')}
    children = [joint.find('child').get('link') for joint in root.findall('joint')]
    parents = {joint.find('parent').get('link') for joint in root.findall('joint')}
    assert parents <= links
    assert sorted(children) == sorted(links - {'base_link'})


@pytest.mark.parametrize('name', sorted(MESHES))
def test_the_meshes_are_what_the_command_makes(name):
    assert share_path(f'urdf/meshes/{name}').read_bytes() == stl(MESHES[name])


@pytest.mark.parametrize('name', robot_names())
def test_every_mesh_of_every_robot_is_in_the_package(name):
    root = ET.fromstring(description(load_robot(name)))
    files = {mesh.get('filename') for mesh in root.iter('mesh')}
    assert files
    for file in files:
        assert share_path(file.removeprefix('package://kf_imitation/')).is_file()


def reader(name):
    """Load a robot's URDF with a library that others use."""
    yourdfpy = pytest.importorskip('yourdfpy', reason='pip install yourdfpy')
    path = str(share_path('urdf'))

    def resolve(fname):
        return fname.replace('package://kf_imitation/urdf', path)

    text = description(load_robot(name))
    return yourdfpy.URDF.load(io.StringIO(text), filename_handler=resolve, load_meshes=True)


@pytest.mark.parametrize('name', robot_names())
def test_a_library_of_others_finds_no_fault_and_the_shape_of_a_head(name):
    robot = reader(name)
    assert robot.validate()
    width, height = robot.scene.extents[1], robot.scene.extents[2]
    assert 0.1 < width < 0.4 and 0.15 < height < 0.4


def front_height(robot, link, joint, angle):
    """Return the height of the foremost corner of what a link carries [m]."""
    robot.update_cfg({joint: angle})
    corners = []
    for visual in robot.link_map[link].visuals:
        mesh = trimesh_of(robot, visual)
        pose = robot.get_transform(link, 'base_link') @ (
            np.eye(4) if visual.origin is None else visual.origin
        )
        corners.append(mesh @ pose[:3, :3].T + pose[:3, 3])
    points = np.concatenate(corners)
    return points[np.argmax(points[:, 0]), 2]


def trimesh_of(robot, visual):
    file = visual.geometry.mesh.filename.removeprefix('package://kf_imitation/urdf/meshes/')
    return MESHES[file].reshape(-1, 3) * visual.geometry.mesh.scale


@pytest.mark.parametrize(
    ('joint', 'angle', 'up'),
    [
        ('jaw', 0.45, False),
        ('mouth_corner_left', 0.5, True),
        ('eyelid_right', -0.6, False),
        ('brow_left', 0.4, True),
        ('neck_pitch', 0.4, False),
    ],
)
def test_positive_angles_move_the_face_as_the_robot_file_says(joint, angle, up):
    robot = reader('sim_face')
    link = f'{joint}_link' if joint != 'neck_pitch' else 'mouth_corner_left_link'
    moved = front_height(robot, link, joint, angle) - front_height(robot, link, joint, 0.0)
    assert (moved > 0.002) if up else (moved < -0.002)


def test_a_robot_without_lids_and_brows_has_a_face_all_the_same():
    root = ET.fromstring(description(load_robot('template')))
    links = {link.get('name') for link in root.findall('link')}
    joints = {joint.get('name') for joint in root.findall('joint')}
    for side in ('left', 'right'):
        assert f'brow_{side}_fixed' in links or f'brow_{side}' in joints
        assert {f'gaze_pitch_{side}_fixed', f'gaze_pitch_{side}_link'} & links or (
            'gaze_pitch' in joints
        )


@pytest.mark.parametrize('name', robot_names())
def test_lids_close_over_the_whole_eye(name):
    """At the goal of a blink the eyes of one robot stayed open by a millimetre."""
    robot = load_robot(name)
    root = ET.fromstring(description(robot))
    values = np.array([c.startswith('eye_close') for c in CHANNELS], np.float32)
    closed = JointMapping(robot).goals(Expression(0, values, np.ones(len(CHANNELS), np.float32)))
    goals = dict(zip(robot.names, closed, strict=True))
    if 'eyelid_left' not in goals:
        pytest.skip('this robot has no lids')
    factor = 1 + float(root.find("joint[@name='eyelid_left_edge']/mimic").get('multiplier'))
    upper = UPPER_EDGE + factor * goals['eyelid_left']
    lower = -LOWER_EDGE + goals.get('lower_lid_left', 0.0)
    assert upper - lower < RIM


def test_the_mouth_of_the_model_opens_and_its_corners_rise_on_both_lips():
    robot = reader('sim_face')
    closed, opened = (front_height(robot, 'jaw_link', 'jaw', angle) for angle in (0.0, 0.45))
    assert opened < closed - 0.012
    for link in ('mouth_corner_right_end_link', 'mouth_corner_right_lower_end_link'):
        ends = [
            front_height(robot, link, 'mouth_corner_right', angle) for angle in (0.15, 0.30, 0.5)
        ]
        assert (np.diff(ends) > 0.001).all()
