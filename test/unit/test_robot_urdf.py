import xml.etree.ElementTree as ET

import pytest

from kf_imitation.paths import share_path
from kf_imitation.robot_config import load_robot, robot_names
from kf_imitation.robot_urdf import urdf

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
