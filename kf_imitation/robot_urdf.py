"""A plain URDF of a robot file: boxes and balls where the joints of a face are, for RViz.

`python -m kf_imitation.robot_urdf NAME > urdf/NAME.urdf`. Frames follow REP-103: x forward,
y left, z up. Joints whose place is not known by name stand in a row beside the head.
"""

import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from kf_imitation.robot_config import JointConfig, RobotConfig, load_robot

Vector = tuple[float, float, float]
SKIN, DARK, RED, WHITE, BLUE = (
    '0.93 0.78 0.68 1',
    '0.25 0.18 0.12 1',
    '0.75 0.25 0.25 1',
    '1 1 1 1',
    '0.2 0.4 0.8 1',
)
EFFORT_NM = '0.5'  # URDF asks for one; the force limit of the robot file is a current


@dataclass(frozen=True, slots=True)
class Part:
    """Where a joint is and what it carries.

    Attributes:
        origin: of the joint, in the parent's frame [m].
        axis: of rotation.
        shape: 'box' or 'ball'.
        size: edges of the box, or (radius, 0, 0) [m].
        centre: of the shape in the joint's frame [m].
        colour: red, green, blue, alpha.
    """

    origin: Vector
    axis: Vector
    shape: str
    size: Vector
    centre: Vector
    colour: str


UP = (0.0, -1.0, 0.0)  # positive angles lift what is in front
DOWN = (0.0, 1.0, 0.0)
YAW = (0.0, 0.0, 1.0)
# In the frame of the head; the left one of a pair, the right one is its mirror image.
PARTS = {
    'neck_yaw': Part((0, 0, 0.05), YAW, 'box', (0.06, 0.06, 0.03), (0, 0, 0), DARK),
    'neck_pitch': Part((0, 0, 0.03), DOWN, 'box', (0.04, 0.06, 0.03), (0, 0, 0), DARK),
    'neck_roll': Part(
        (0, 0, 0.03), (1.0, 0.0, 0.0), 'box', (0.12, 0.14, 0.16), (-0.01, 0, 0.11), SKIN
    ),
    'jaw': Part((0.0, 0, 0.065), DOWN, 'box', (0.07, 0.1, 0.03), (0.035, 0, -0.03), SKIN),
    'mouth_corner': Part((0.03, 0.03, 0.075), UP, 'box', (0.012, 0.02, 0.01), (0.04, 0, 0), RED),
    'upper_lip': Part((0.03, 0, 0.08), UP, 'box', (0.012, 0.03, 0.008), (0.042, 0, 0), RED),
    'lower_lip': Part((0.03, 0, 0.07), DOWN, 'box', (0.012, 0.03, 0.008), (0.042, 0, 0), RED),
    'lip_corner': Part((0.03, 0.025, 0.075), YAW, 'box', (0.012, 0.01, 0.01), (0.042, 0, 0), RED),
    'cheek': Part((0.02, 0.045, 0.1), UP, 'box', (0.01, 0.03, 0.02), (0.035, 0, 0), SKIN),
    'eyelid': Part(
        (0.042, 0.032, 0.135), UP, 'box', (0.01, 0.032, 0.008), (0.019, 0, 0.013), SKIN
    ),
    'lower_lid': Part(
        (0.042, 0.032, 0.135), UP, 'box', (0.01, 0.032, 0.006), (0.019, 0, -0.014), SKIN
    ),
    'brow': Part((0.02, 0.032, 0.165), UP, 'box', (0.012, 0.04, 0.008), (0.036, 0, 0), DARK),
    'brow_inner': Part((0.02, 0.02, 0.165), UP, 'box', (0.012, 0.018, 0.008), (0.036, 0, 0), DARK),
    'brow_outer': Part((0.02, 0.045, 0.165), UP, 'box', (0.012, 0.02, 0.008), (0.036, 0, 0), DARK),
    'gaze_pitch': Part((0.042, 0.032, 0.135), UP, 'ball', (0.017, 0, 0), (0, 0, 0), WHITE),
    'gaze_yaw': Part((0, 0, 0), YAW, 'ball', (0.007, 0, 0), (0.013, 0, 0), BLUE),
    'nose': Part((0.05, 0, 0.11), UP, 'box', (0.02, 0.015, 0.02), (0.01, 0, 0), SKIN),
}
NECK = ('neck_yaw', 'neck_pitch', 'neck_roll')


def urdf(robot: RobotConfig) -> str:
    """Return the URDF; joint names and limits are those of the robot file."""
    root = ET.Element('robot', name=robot.name)
    root.append(ET.Comment(f' Made by: python -m kf_imitation.robot_urdf {robot.name} '))
    ET.SubElement(root, 'link', name='base_link')
    joints = {joint.name: joint for joint in robot.joints}
    parent = 'base_link'
    for name in NECK:
        if name in joints:
            parent = _add(root, joints[name], parent, PARTS[name])
    head = parent
    if parent == 'base_link':
        head = _fixed_head(root)
    unknown = 0
    for joint in robot.joints:
        if joint.name in NECK or joint.name.startswith('gaze_'):
            continue
        part = _part(joint.name)
        if part is None:
            unknown += 1
            box = (0.01, 0.01, 0.01)
            part = Part((0.0, -0.12, 0.05 + 0.02 * unknown), UP, 'box', box, (0.02, 0, 0), DARK)
        _add(root, joint, head, part)
    _add_eyes(root, joints, head)
    ET.indent(root)
    return f'<?xml version="1.0"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _part(name: str) -> Part | None:
    """Return the place of a joint by its name, mirrored for a right one."""
    if name in PARTS:
        return PARTS[name]
    stem, _, side = name.rpartition('_')
    if stem not in PARTS or side not in ('left', 'right'):
        return None
    part = PARTS[stem]
    if side == 'left':
        return part
    x, y, z = part.origin
    return Part((x, -y, z), part.axis, part.shape, part.size, part.centre, part.colour)


def _add_eyes(root: ET.Element, joints: dict[str, JointConfig], head: str) -> None:
    """Add both eyeballs; the right one repeats the left one's joints unless it has its own."""
    own = {'left': '_left', 'right': '_right'} if 'gaze_yaw_left' in joints else {}
    for side in ('left', 'right'):
        parent = head
        for stem in ('gaze_pitch', 'gaze_yaw'):
            joint = joints.get(f'{stem}{own.get(side, "")}') or joints.get(stem)
            if joint is None:
                continue
            part = PARTS[stem]
            if side == 'right':
                x, y, z = part.origin
                part = Part((x, -y, z), part.axis, part.shape, part.size, part.centre, part.colour)
            mimic = joint.name if side == 'right' and not joint.name.endswith('right') else ''
            parent = _add(root, joint, parent, part, mimic)


def _fixed_head(root: ET.Element) -> str:
    link = ET.SubElement(root, 'link', name='head')
    _visual(link, PARTS['neck_roll'])
    joint = ET.SubElement(root, 'joint', name='head_mount', type='fixed')
    ET.SubElement(joint, 'parent', link='base_link')
    ET.SubElement(joint, 'child', link='head')
    return 'head'


def _add(root: ET.Element, config: JointConfig, parent: str, part: Part, mimic: str = '') -> str:
    """Add link and joint; returns the link's name."""
    name = f'{config.name}_mirror' if mimic else config.name
    link = ET.SubElement(root, 'link', name=f'{name}_link')
    _visual(link, part)
    joint = ET.SubElement(root, 'joint', name=name, type='revolute')
    ET.SubElement(joint, 'parent', link=parent)
    ET.SubElement(joint, 'child', link=f'{name}_link')
    ET.SubElement(joint, 'origin', xyz=_text(part.origin), rpy='0 0 0')
    ET.SubElement(joint, 'axis', xyz=_text(part.axis))
    low, high = config.limits_rad
    ET.SubElement(
        joint,
        'limit',
        lower=f'{low:g}',
        upper=f'{high:g}',
        velocity=f'{config.max_velocity_rad_s:g}',
        effort=EFFORT_NM,
    )
    if mimic:
        ET.SubElement(joint, 'mimic', joint=mimic, multiplier='1', offset='0')
    return f'{name}_link'


def _visual(link: ET.Element, part: Part) -> None:
    visual = ET.SubElement(link, 'visual')
    ET.SubElement(visual, 'origin', xyz=_text(part.centre), rpy='0 0 0')
    geometry = ET.SubElement(visual, 'geometry')
    if part.shape == 'box':
        ET.SubElement(geometry, 'box', size=_text(part.size))
    else:
        ET.SubElement(geometry, 'sphere', radius=f'{part.size[0]:g}')
    material = ET.SubElement(visual, 'material', name=f'colour_{part.colour.replace(" ", "_")}')
    ET.SubElement(material, 'color', rgba=part.colour)


def _text(vector: Vector) -> str:
    return ' '.join(f'{value:g}' for value in vector)


if __name__ == '__main__':
    sys.stdout.write(urdf(load_robot(sys.argv[1])))
