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
from kf_imitation.robot.meshes import MOUTH_CUT

Vector = tuple[float, float, float]
# The colours of the drawn face.
SKIN, LID, DARK, RED, WHITE, BLUE, BLACK, TEAL = (
    '0.96 0.95 0.94 1',
    '0.8 0.84 0.88 1',
    '0.2 0.22 0.27 1',
    '0.82 0.24 0.30 1',
    '1 1 1 1',
    '0.1 0.5 0.75 1',
    '0.1 0.07 0.1 1',
    '0.3 0.7 0.8 1',
)
EFFORT_NM = '0.5'  # URDF asks for one; the force limit of the robot file is a current
# How much of a whole ellipsoid a part of one is.
SHARES = {'cap': 0.5, 'lash': 0.02, 'skull': 0.8, 'jaw': 0.2, 'crown': 0.05}
DENSITY_KG_M3 = 200.0  # a printed shell with servos in it
MESHES = 'package://kf_imitation/urdf/meshes'
NONE: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """A visible part.

    Attributes:
        kind: 'box', or a mesh of meshes.py: 'ball' (an ellipsoid), 'cap' (half of one, its pole
            up), 'lash' (half a ring), 'skull', 'jaw' and 'crown' (parts of the head).
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
        """Return it on the other side of the face, moving as in a mirror."""
        x, y, z = self.origin
        about_x, about_y, about_z = self.axis
        return Part(
            (x, -y, z),
            (-about_x, about_y, -about_z),
            tuple(shape.mirrored() for shape in self.shapes),
        )


UP = (0.0, -1.0, 0.0)  # positive angles lift what is in front
DOWN = (0.0, 1.0, 0.0)
YAW = (0.0, 0.0, 1.0)
ROLL = (1.0, 0.0, 0.0)
MIDDLE, RADII = (-0.005, 0.0, 0.14), (0.074, 0.078, 0.090)
CROWN_RADII = (1.02 * RADII[0], 1.02 * RADII[1], 1.02 * RADII[2])
MOUTH_Z = MIDDLE[2] + MOUTH_CUT * RADII[2]
LIP_X = 0.0605  # the face's surface at the mouth
EYE = (0.041, 0.033, 0.142)
BALL_M, LID_M = 0.0265, 0.0290
# A lid's edge at rest, as seen from the middle of the eye: above and below the pupil.
UPPER_EDGE, LOWER_EDGE = 0.60, 0.34
HEAD = (
    Shape('skull', RADII, MIDDLE, SKIN),
    Shape('crown', CROWN_RADII, MIDDLE, TEAL),
    Shape('ball', (0.030, 0.032, 0.045), (-0.01, 0, 0.035), DARK),
    Shape('ball', (0.050, 0.058, 0.030), (-0.006, 0, MOUTH_Z - 0.004), LID),
    Shape('ball', (0.026, 0.030, 0.012), (LIP_X - 0.034, 0, MOUTH_Z - 0.003), BLACK),  # inside
    Shape('ball', (0.010, 0.022, 0.008), (LIP_X - 0.0125, 0, MOUTH_Z - 0.001), WHITE),  # teeth
    *(
        shape
        for side in (1, -1)
        for shape in (
            Shape('ball', (0.026, 0.012, 0.026), (-0.008, 0.079 * side, 0.137), DARK),
            Shape('ball', (0.019, 0.005, 0.019), (-0.008, 0.0885 * side, 0.137), TEAL),
            Shape('ball', (0.014, 0.005, 0.014), (-0.008, 0.090 * side, 0.137), DARK),
        )
    ),
)
SHOULDERS = (Shape('ball', (0.05, 0.11, 0.04), (-0.01, 0, 0), DARK),)
LIP_M = 0.0034  # half the thickness of a lip
LOWER_LIP_M = 0.0030  # how much lower it is
# A side of the mouth bends twice, so that a smile is a bow: lengths of its two pieces.
INNER_M, OUTER_M = 0.012, 0.011


def _lip(half: float, centre: Vector, yaw: float = 0.0) -> Shape:
    return Shape('ball', (0.0052, half, LIP_M), centre, RED, (0, 0, yaw))


def _mouth_side(lower: float) -> Part:
    """Return the inner piece of the left side of the upper lip, or of one so much lower."""
    place = (LIP_X + 0.002, 0.006, MOUTH_Z - lower)
    return Part(place, ROLL, (_lip(0.5 * INNER_M + 0.004, (-0.001, 0.5 * INNER_M, 0), 0.15),))


def _mouth_end() -> Part:
    """Return the outer piece, in the frame of the inner one."""
    lip = _lip(0.5 * OUTER_M + 0.003, (-0.003, 0.5 * OUTER_M, 0), 0.45)
    return Part((-0.002, INNER_M, 0.0), ROLL, (lip,))


def _brow(half: float, x: float) -> Shape:
    return Shape('ball', (0.006, half, 0.0045), (0.043 + x, 0, 0), DARK, (0, 0, -0.3))


def _shell(radius_m: float, edge_rad: float, colour: str, roll: float = 0.0) -> Part:
    """Return half a shell around the eye; roll pi for the lower half."""
    return Part(EYE, UP, (Shape('cap', (radius_m,) * 3, NONE, colour, (roll, edge_rad, 0)),))


UPPER_LID = _shell(LID_M, -UPPER_EDGE, LID).shapes
LASH = Shape('lash', (1.012 * LID_M,) * 3, NONE, DARK, (0, -UPPER_EDGE, 0))

# In the frame of the head; the left one of a pair, the right one is its mirror image.
PARTS = {
    'neck_yaw': Part((0, 0, 0.03), YAW, (Shape('ball', (0.034, 0.034, 0.022), NONE, DARK),)),
    'neck_pitch': Part((0, 0, 0.018), DOWN, (Shape('ball', (0.032, 0.032, 0.022), NONE, DARK),)),
    'neck_roll': Part((0, 0, 0.004), ROLL, HEAD),
    'jaw': Part(
        (0.0, 0, 0.115),
        DOWN,
        (
            Shape('jaw', RADII, (MIDDLE[0], 0, MIDDLE[2] - 0.115), SKIN),
            Shape('jaw', (0.072, 0.076, 0.0875), (MIDDLE[0], 0, MIDDLE[2] - 0.116), DARK),
            Shape('ball', (0.020, 0.018, 0.006), (LIP_X - 0.032, 0, MOUTH_Z - 0.124), RED),
            _lip(0.011, (LIP_X + 0.002, 0, MOUTH_Z - 0.115 - LOWER_LIP_M)),
        ),
    ),
    'mouth_corner': _mouth_side(0.0),
    'upper_lip': Part((0.035, 0, MOUTH_Z), UP, (_lip(0.011, (LIP_X - 0.033, 0, 0.001)),)),
    'lower_lip': Part((0.035, 0, MOUTH_Z - 0.004), DOWN, (_lip(0.011, (LIP_X - 0.033, 0, 0)),)),
    # Both lips at once: they hang from above, so that lifting them pushes them out.
    'lips': Part(
        (LIP_X, 0, MOUTH_Z + 0.035),
        UP,
        (
            replace(_lip(0.010, (0.001, 0, -0.0340)), size=(0.0065, 0.010, 0.0045)),
            replace(_lip(0.009, (0.001, 0, -0.0375)), size=(0.0065, 0.009, 0.0045)),
        ),
    ),
    'lip_corner': Part((0.035, 0.026, MOUTH_Z), YAW, (_lip(0.005, (0.019, 0, 0), 0.5),)),
    'cheek': Part(
        (0.02, 0.04, 0.1), UP, (Shape('ball', (0.007, 0.013, 0.010), (0.027, 0, 0.004), SKIN),)
    ),
    'eyelid': _shell(1.03 * LID_M, -UPPER_EDGE - 0.35, LID),
    'lower_lid': _shell(0.98 * LID_M, LOWER_EDGE, SKIN, 3.1416),
    # The inner end is further from the axis and moves more.
    'brow': Part((0.018, 0.033, 0.181), (-0.55, -0.835, 0.0), (_brow(0.021, 0.0),)),
    'brow_inner': Part((0.018, 0.022, 0.181), UP, (_brow(0.012, -0.002),)),
    'brow_outer': Part((0.018, 0.044, 0.181), UP, (_brow(0.012, -0.004),)),
    'gaze_pitch': Part(EYE, UP, (Shape('ball', (BALL_M,) * 3, NONE, WHITE),)),
    'gaze_yaw': Part(
        NONE,
        YAW,
        (
            Shape('ball', (0.0150, 0.0155, 0.0155), (0.0130, 0, 0), BLUE),
            Shape('ball', (0.0090, 0.0080, 0.0080), (0.0196, 0, 0), BLACK),
            Shape('ball', (0.0022, 0.0026, 0.0026), (0.0256, -0.0042, 0.0050), WHITE),
        ),
    ),
    'nose': Part(
        (0.05, 0, 0.116), UP, (Shape('ball', (0.010, 0.008, 0.0075), (0.0185, 0, 0.001), SKIN),)
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
# Further pieces that follow a joint: its stem, the piece's name, what carries it, by how much it
# turns, and the piece. So a smile is a bow, and the lower lip smiles, too.
FOLLOWERS = {
    # Two shells, one inside the other, so that a small turn of the servo closes a large eye.
    'eyelid': (('edge', '', 0.7, Part(NONE, UP, (*UPPER_LID, LASH))),),
    'mouth_corner': (
        ('end', '', 0.8, _mouth_end()),
        ('lower', 'jaw', 1.0, _mouth_side(LOWER_LIP_M)),
        ('lower_end', 'lower', 0.8, _mouth_end()),
    ),
}
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
        _add_followers(root, joint, head, 'jaw' in joints)
    _add_eyes(root, joints, head)
    for name, movers in FIXED.items():
        if any(joint.startswith(movers) for joint in joints):
            continue
        whole = PARTS[name]
        for _, _, _, piece in FOLLOWERS.get(name, ()):
            whole = replace(whole, shapes=whole.shapes + piece.shapes)
        sides = {'_left': whole, '_right': whole.mirrored()}
        for side, part in sides.items() if name in PAIRED else [('', whole)]:
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


def _add_followers(root: ET.Element, joint: JointConfig, head: str, has_jaw: bool) -> None:
    """Add what else turns with a joint."""
    stem, _, side = joint.name.rpartition('_')
    for name, carrier, factor, part in FOLLOWERS.get(stem, ()):
        parent = f'{joint.name}_{carrier}_link' if carrier else f'{joint.name}_link'
        if carrier == 'jaw':
            parent = 'jaw_link' if has_jaw else head
            x, y, z = part.origin
            part = replace(part, origin=(x, y, z - PARTS['jaw'].origin[2] * has_jaw))
        _add(root, joint, parent, part if side == 'left' else part.mirrored(), name, factor)


def _add_eyes(root: ET.Element, joints: Mapping[str, JointConfig], head: str) -> None:
    """Add both eyeballs; the right one repeats the left one's joints unless it has its own."""
    own = {'left': '_left', 'right': '_right'} if 'gaze_yaw_left' in joints else {}
    for side in ('left', 'right'):
        parent = head
        for stem in ('gaze_pitch', 'gaze_yaw'):
            joint = joints.get(f'{stem}{own.get(side, "")}') or joints.get(stem)
            part = PARTS[stem]
            if stem == 'gaze_pitch' and side == 'right':
                part = replace(part, origin=_other_side(EYE))
            if joint is None:
                parent = _fixed(root, f'{stem}_{side}_fixed', parent, part)
                continue
            follows = side == 'right' and not joint.name.endswith('right')
            parent = _add(root, joint, parent, part, 'mirror' if follows else '')


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


def _add(
    root: ET.Element,
    config: JointConfig,
    parent: str,
    part: Part,
    follower: str = '',
    factor: float = 1.0,
) -> str:
    """Add link and joint, or one that follows it; returns the link's name."""
    name = f'{config.name}_{follower}' if follower else config.name
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
    if follower:
        ET.SubElement(joint, 'mimic', joint=config.name, multiplier=f'{factor:g}', offset='0')
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
        m = DENSITY_KG_M3 * whole * SHARES.get(shape.kind, 1)
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
        file = f'{MESHES}/{shape.kind}.stl'
        ET.SubElement(geometry, 'mesh', filename=file, scale=_text(shape.size))
    material = ET.SubElement(visual, 'material', name=f'colour_{shape.colour.replace(" ", "_")}')
    ET.SubElement(material, 'color', rgba=shape.colour)


def _text(vector: Vector) -> str:
    return ' '.join(f'{value:g}' for value in vector)


if __name__ == '__main__':
    sys.stdout.write(urdf(load_robot(sys.argv[1])))
