"""A URDF of a robot file: a plain face whose parts move with the joints, for RViz.

`python -m kf_imitation.robot.urdf NAME > urdf/NAME.urdf`. Frames follow REP-103: x forward,
y left, z up. Joints whose place is not known by name stand in a row next to the head. Where a
robot lacks a joint, the part of the face stays, fixed to the head. Masses are those of the drawn
shapes, an estimate. Nothing collides: lids slide over eyes, and lips meet.
"""

import math
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kf_imitation.robot import JointConfig, RobotConfig, load_robot, urdf_path

Vector = tuple[float, float, float]
SKIN, DARK, RED, WHITE, BLUE, BLACK = (
    '0.87 0.88 0.9 1',
    '0.25 0.24 0.26 1',
    '0.76 0.42 0.45 1',
    '1 1 1 1',
    '0.15 0.45 0.66 1',
    '0.14 0.1 0.12 1',
)
EFFORT_NM = '0.5'  # URDF asks for one; the force limit of the robot file is a current
DENSITY_KG_M3 = 200.0  # a printed shell with servos in it
MESHES = 'package://kf_imitation/urdf/meshes'
NONE: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """A visible part.

    Attributes:
        kind: 'box', 'ball' (an ellipsoid) or 'cap' (half of one, its pole up).
        size: edges of a box, half axes of the others [m].
        centre: in the frame of the link [m].
        colour: red, green, blue, alpha.
        rpy: roll, pitch, yaw [rad].
    """

    kind: str
    size: Vector
    centre: Vector
    colour: str
    rpy: Vector = NONE

    def mirrored(self) -> 'Shape':
        """Return it on the other side of the face."""
        (x, y, z), (roll, pitch, yaw) = self.centre, self.rpy
        return replace(self, centre=(x, -y, z), rpy=(-roll, pitch, -yaw))


@dataclass(frozen=True, slots=True)
class Part:
    """Where a joint is and what it carries.

    Attributes:
        origin: of the joint, in the parent's frame [m].
        axis: of rotation.
        shapes: what is seen, in the joint's frame.
    """

    origin: Vector
    axis: Vector
    shapes: tuple[Shape, ...]

    def mirrored(self) -> 'Part':
        """Return it on the other side of the face; the axis stays, so that signs agree."""
        x, y, z = self.origin
        return replace(self, origin=(x, -y, z), shapes=tuple(s.mirrored() for s in self.shapes))


UP = (0.0, -1.0, 0.0)  # positive angles lift what is in front
DOWN = (0.0, 1.0, 0.0)
YAW = (0.0, 0.0, 1.0)
EYE = (0.045, 0.03, 0.135)
LID = (0.0195, 0.0195, 0.0195)
# A lid's edge at rest, as seen from the middle of the eye: above and below the pupil.
UPPER_EDGE, LOWER_EDGE = 0.44, 0.16
HEAD = (
    Shape('ball', (0.077, 0.068, 0.09), (-0.012, 0, 0.14), SKIN),
    Shape('ball', (0.048, 0.056, 0.062), (0.018, 0, 0.092), SKIN),
    Shape('ball', (0.03, 0.03, 0.035), (-0.01, 0, 0.03), DARK),
    Shape('ball', (0.016, 0.022, 0.016), (0.0465, 0, 0.06), BLACK),  # the mouth when it is open
    Shape('ball', (0.016, 0.01, 0.016), (-0.01, 0.072, 0.125), DARK),
    Shape('ball', (0.016, 0.01, 0.016), (-0.01, -0.072, 0.125), DARK),
)
SHOULDERS = (Shape('ball', (0.05, 0.11, 0.045), (-0.01, 0, 0), DARK),)


def _lip(y: float, z: float, half: float) -> Shape:
    return Shape('ball', (0.006, half, 0.0045), (0.022, y, z), RED)


# In the frame of the head; the left one of a pair, the right one is its mirror image.
PARTS = {
    'neck_yaw': Part((0, 0, 0.05), YAW, (Shape('ball', (0.032, 0.032, 0.025), NONE, DARK),)),
    'neck_pitch': Part((0, 0, 0.03), DOWN, (Shape('ball', (0.03, 0.03, 0.025), NONE, DARK),)),
    'neck_roll': Part((0, 0, 0.01), (1.0, 0.0, 0.0), HEAD),
    'jaw': Part(
        (0.0, 0, 0.085),
        DOWN,
        (
            Shape('ball', (0.044, 0.044, 0.032), (0.023, 0, -0.032), SKIN),
            Shape('ball', (0.006, 0.019, 0.0045), (0.064, 0, -0.0175), RED),
        ),
    ),
    'mouth_corner': Part((0.043, 0.022, 0.073), UP, (_lip(-0.004, 0, 0.011),)),
    'upper_lip': Part((0.045, 0, 0.076), UP, (_lip(0, 0, 0.018),)),
    'lower_lip': Part((0.045, 0, 0.067), DOWN, (_lip(0, 0, 0.016),)),
    # Both lips at once: they hang from above, so that lifting them pushes them out.
    'lips': Part((0.045, 0, 0.1), UP, (replace(_lip(0, 0, 0.018), centre=(0.022, 0, -0.024)),)),
    'lip_corner': Part((0.042, 0.024, 0.072), YAW, (_lip(0, 0, 0.006),)),
    'cheek': Part(
        (0.02, 0.036, 0.1), UP, (Shape('ball', (0.007, 0.015, 0.01), (0.023, 0, 0), SKIN),)
    ),
    'eyelid': Part(EYE, UP, (Shape('cap', LID, NONE, SKIN, (0, -UPPER_EDGE, 0)),)),
    'lower_lid': Part(EYE, UP, (Shape('cap', LID, NONE, SKIN, (3.1416, LOWER_EDGE, 0)),)),
    'brow': Part(
        (0.02, 0.032, 0.166), UP, (Shape('ball', (0.006, 0.019, 0.004), (0.037, 0, 0), DARK),)
    ),
    'brow_inner': Part(
        (0.02, 0.022, 0.166), UP, (Shape('ball', (0.006, 0.011, 0.004), (0.039, 0, 0), DARK),)
    ),
    'brow_outer': Part(
        (0.02, 0.041, 0.166), UP, (Shape('ball', (0.006, 0.011, 0.004), (0.033, 0, 0), DARK),)
    ),
    'gaze_pitch': Part(EYE, UP, (Shape('ball', (0.0168, 0.0168, 0.0168), NONE, WHITE),)),
    'gaze_yaw': Part(
        NONE,
        YAW,
        (
            Shape('ball', (0.0092, 0.009, 0.009), (0.0085, 0, 0), BLUE),
            Shape('ball', (0.0062, 0.0042, 0.0042), (0.0122, 0, 0), BLACK),
        ),
    ),
    'nose': Part(
        (0.05, 0, 0.11), UP, (Shape('ball', (0.014, 0.007, 0.014), (0.012, 0, 0), SKIN),)
    ),
}
# Parts of a face that stay in place on a robot that has none of the joints named.
FIXED = {
    'nose': ('nose',),
    'upper_lip': ('upper_lip', 'lips'),
    'lower_lid': ('lower_lid',),
    'eyelid': ('eyelid',),
    'brow': ('brow', 'brow_inner', 'brow_outer'),
    'jaw': ('jaw',),
}
PAIRED = ('lower_lid', 'eyelid', 'brow')
NECK = ('neck_yaw', 'neck_pitch', 'neck_roll')


def description(robot: RobotConfig) -> str:
    """Return the URDF that the robot file names, else one made for it."""
    if robot.urdf:
        return urdf_path(robot).read_text(encoding='utf-8')
    return urdf(robot)


def urdf(robot: RobotConfig) -> str:
    """Return the URDF; joint names and limits are those of the robot file."""
    root = ET.Element('robot', name=robot.name)
    root.append(ET.Comment(f' Made by: python -m kf_imitation.robot.urdf {robot.name} '))
    base = ET.SubElement(root, 'link', name='base_link')
    for shape in SHOULDERS:
        _visual(base, shape)
    joints = {joint.name: joint for joint in robot.joints}
    parent = 'base_link'
    for name in NECK:
        if name in joints:
            parent = _add(root, joints[name], parent, PARTS[name])
    head = parent
    if 'neck_roll' not in joints:
        # The face is on the link of neck_roll; without that joint it stands on the last one.
        head = _fixed(root, 'head', parent, replace(PARTS['neck_roll'], origin=_gap(parent)))
    unknown = 0
    for joint in robot.joints:
        if joint.name in NECK or joint.name.startswith('gaze_'):
            continue
        part = _part(joint.name)
        if part is None:
            unknown += 1
            box = Shape('box', (0.01, 0.01, 0.01), (0.02, 0, 0), DARK)
            part = Part((0.0, -0.12, 0.05 + 0.02 * unknown), UP, (box,))
        if joint.name == 'jaw' and 'lower_lip' in joints:
            part = replace(part, shapes=part.shapes[:1])  # its lip has a joint of its own
        parent = head
        if joint.name == 'lower_lip' and 'jaw' in joints:
            parent, place, pivot = 'jaw_link', part.origin, PARTS['jaw'].origin
            part = replace(part, origin=(place[0], 0.0, place[2] - pivot[2]))
        _add(root, joint, parent, part)
    _add_eyes(root, joints, head)
    for name, movers in FIXED.items():
        if any(joint.startswith(movers) for joint in joints):
            continue
        sides = {'_left': PARTS[name], '_right': PARTS[name].mirrored()}
        for side, part in sides.items() if name in PAIRED else [('', PARTS[name])]:
            _fixed(root, f'{name}{side}_fixed', head, part)
    ET.indent(root)
    return f'<?xml version="1.0"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _part(name: str) -> Part | None:
    """Return the place of a joint by its name, mirrored for a right one."""
    if name in PARTS:
        return PARTS[name]
    stem, _, side = name.rpartition('_')
    if stem not in PARTS or side not in ('left', 'right'):
        return None
    return PARTS[stem] if side == 'left' else PARTS[stem].mirrored()


def _add_eyes(root: ET.Element, joints: Mapping[str, JointConfig], head: str) -> None:
    """Add both eyeballs; the right one repeats the left one's joints unless it has its own."""
    own = {'left': '_left', 'right': '_right'} if 'gaze_yaw_left' in joints else {}
    for side in ('left', 'right'):
        parent = head
        for stem in ('gaze_pitch', 'gaze_yaw'):
            joint = joints.get(f'{stem}{own.get(side, "")}') or joints.get(stem)
            part = PARTS[stem] if side == 'left' else PARTS[stem].mirrored()
            if joint is None:
                if stem == 'gaze_pitch' or parent == head:
                    part = replace(part, origin=EYE if side == 'left' else _other_side(EYE))
                parent = _fixed(root, f'{stem}_{side}_fixed', parent, part)
                continue
            mimic = joint.name if side == 'right' and not joint.name.endswith('right') else ''
            parent = _add(root, joint, parent, part, mimic)


def _other_side(place: Vector) -> Vector:
    return place[0], -place[1], place[2]


def _gap(parent: str) -> Vector:
    """Return the place of a head that no neck carries."""
    return (0.0, 0.0, 0.09) if parent == 'base_link' else PARTS['neck_roll'].origin


def _fixed(root: ET.Element, name: str, parent: str, part: Part) -> str:
    """Add a link that does not move; returns its name."""
    link = ET.SubElement(root, 'link', name=name)
    _fill(link, part.shapes)
    joint = ET.SubElement(root, 'joint', name=f'{name}_mount', type='fixed')
    ET.SubElement(joint, 'parent', link=parent)
    ET.SubElement(joint, 'child', link=name)
    ET.SubElement(joint, 'origin', xyz=_text(part.origin), rpy='0 0 0')
    return name


def _add(root: ET.Element, config: JointConfig, parent: str, part: Part, mimic: str = '') -> str:
    """Add link and joint; returns the link's name."""
    name = f'{config.name}_mirror' if mimic else config.name
    link = ET.SubElement(root, 'link', name=f'{name}_link')
    _fill(link, part.shapes)
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


def _fill(link: ET.Element, shapes: Sequence[Shape]) -> None:
    """Add mass and looks; not to the root, whose inertia KDL (robot_state_publisher) rejects."""
    mass_kg, centre, inertia = _inertia(shapes)
    inertial = ET.SubElement(link, 'inertial')
    ET.SubElement(inertial, 'origin', xyz=_text(centre), rpy='0 0 0')
    ET.SubElement(inertial, 'mass', value=f'{mass_kg:g}')
    places = {'ixx': (0, 0), 'ixy': (0, 1), 'ixz': (0, 2), 'iyy': (1, 1), 'iyz': (1, 2)}
    moments = {name: f'{inertia[at]:g}' for name, at in {**places, 'izz': (2, 2)}.items()}
    ET.SubElement(inertial, 'inertia', moments)
    for shape in shapes:
        _visual(link, shape)


def _inertia(shapes: Sequence[Shape]) -> tuple[float, Vector, NDArray[np.float64]]:
    """Return mass [kg], centre of mass [m] and the inertia about it, (3, 3) [kg m²]."""
    from scipy.spatial.transform import Rotation

    mass, first, second = 0.0, np.zeros(3), np.zeros((3, 3))  # moments about the link's origin
    for shape in shapes:
        size, centre = np.array(shape.size), np.array(shape.centre)
        turn = Rotation.from_euler('xyz', shape.rpy).as_matrix()
        whole = math.prod(shape.size) * (1 if shape.kind == 'box' else 4 / 3 * math.pi)
        m = DENSITY_KG_M3 * whole * (0.5 if shape.kind == 'cap' else 1)
        own = turn @ np.diag(m * size**2 / (12 if shape.kind == 'box' else 5)) @ turn.T
        lean = turn[:, 2] * (m * 3 / 8 * size[2] if shape.kind == 'cap' else 0)
        mass, first = mass + m, first + lean + m * centre
        both = np.outer(lean, centre)
        second += own + both + both.T + m * np.outer(centre, centre)
    middle = first / mass
    second -= mass * np.outer(middle, middle)
    x, y, z = middle.round(9).tolist()
    return mass, (x, y, z), (np.trace(second) * np.eye(3) - second).round(15)


def _visual(link: ET.Element, shape: Shape) -> None:
    visual = ET.SubElement(link, 'visual')
    ET.SubElement(visual, 'origin', xyz=_text(shape.centre), rpy=_text(shape.rpy))
    geometry = ET.SubElement(visual, 'geometry')
    if shape.kind == 'box':
        ET.SubElement(geometry, 'box', size=_text(shape.size))
    else:
        # A ball of radius 1, or its upper half, stretched.
        file = f'{MESHES}/{shape.kind}.stl'
        ET.SubElement(geometry, 'mesh', filename=file, scale=_text(shape.size))
    material = ET.SubElement(visual, 'material', name=f'colour_{shape.colour.replace(" ", "_")}')
    ET.SubElement(material, 'color', rgba=shape.colour)


def _text(vector: Vector) -> str:
    return ' '.join(f'{value:g}' for value in vector)


if __name__ == '__main__':
    sys.stdout.write(urdf(load_robot(sys.argv[1])))
