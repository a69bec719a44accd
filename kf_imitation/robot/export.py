"""A head for other programs: URDF, MuJoCo's MJCF, and tags for ros2_control.

The names of parameters are those of mujoco_ros2_control and dynamixel_hardware_interface.
"""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

from kf_imitation.actuators.dynamixel.units import RAD_PER_TICK, TICKS_PER_TURN
from kf_imitation.errors import KfImitationError, install_command
from kf_imitation.paths import share_path
from kf_imitation.robot.model import JointConfig, RobotConfig
from kf_imitation.robot.urdf import description

# A small geared servo as MuJoCo's position actuator; estimates.
STIFFNESS_NM_RAD = 50.0
ROTOR_KG_M2 = 0.002  # as felt behind the gears
STEP_S = 0.002
REST = 'rest'  # the keyframe of the neutral pose


def export(robot: RobotConfig, folder: Path, mjcf: bool, hardware: str) -> list[Path]:
    """Write NAME.urdf, and NAME.xml for MuJoCo; return their paths.

    Args:
        robot: the head.
        folder: made where it is not there.
        mjcf: write MuJoCo's file too, as `mujoco` does without being asked.
        hardware: whose ros2_control tags the URDF has: 'mujoco', 'dynamixel', or '' for none.

    Raises:
        KfImitationError: MuJoCo is needed and not installed, or nothing can be written.
    """
    text = description(robot)
    model = folder.resolve() / f'{robot.name}.xml'
    mjcf = mjcf or hardware == 'mujoco'
    files = {model: mujoco_model(robot, text).to_xml()} if mjcf else {}
    if hardware:
        root = ET.fromstring(text)
        root.extend([_mujoco(robot, model)] if hardware == 'mujoco' else _dynamixel(robot))
        ET.indent(root)
        text = f'<?xml version="1.0"?>\n{ET.tostring(root, encoding="unicode")}\n'
    files[model.with_suffix('.urdf')] = text
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            path.write_text(content, encoding='utf-8')
    except OSError as error:
        raise KfImitationError(f'{folder}: cannot be written: {error.strerror}') from error
    return list(files)


def mujoco_model(robot: RobotConfig, text: str) -> Any:
    """Return the mujoco.MjSpec of a URDF, with a position actuator for every joint.

    The meshes stay in this package. The keyframe `rest` is the neutral pose.

    Raises:
        KfImitationError: MuJoCo is not installed.
    """
    try:
        import mujoco
    except ModuleNotFoundError as error:
        wanted = install_command("'mujoco<4'")
        raise KfImitationError(f'MuJoCo is missing. To install it:\n    {wanted}') from error
    root = ET.fromstring(text.replace('package://kf_imitation/', f'{share_path("urdf").parent}/'))
    compiler = {'discardvisual': 'false', 'strippath': 'false', 'fusestatic': 'false'}
    ET.SubElement(ET.SubElement(root, 'mujoco'), 'compiler', compiler)
    spec = mujoco.MjSpec.from_string(ET.tostring(root, encoding='unicode'))
    spec.option.timestep = STEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    neutral = dict(zip(robot.names, robot.neutral_rad.tolist(), strict=True))
    for joint in spec.joints:
        joint.armature = ROTOR_KG_M2
    for name in robot.names:
        actuator = spec.add_actuator(
            name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT, inheritrange=1
        )
        actuator.set_to_position(kp=STIFFNESS_NM_RAD, dampratio=1, inheritrange=1)
    leaders = {equality.name1: equality.name2 for equality in spec.equalities}
    rest = [neutral[leaders.get(joint.name, joint.name)] for joint in spec.joints]
    spec.add_key(name=REST, qpos=rest, ctrl=list(neutral.values()))
    spec.compile()
    return spec


def _mujoco(robot: RobotConfig, model: Path) -> ET.Element:
    parameters = {'mujoco_model': str(model), 'initial_keyframe': REST}
    return _tags(robot, 'mujoco_ros2_control/MujocoSystemInterface', parameters)


def _dynamixel(robot: RobotConfig) -> list[ET.Element]:
    """Return the tags of every bus."""
    names = [f'{robot.name}_{line.name}' if line.name else robot.name for line in robot.lines]
    parts = [robot.part_on(line) for line in robot.lines]
    return [_bus(replace(part, name=name)) for part, name in zip(parts, names, strict=True)]


def _bus(robot: RobotConfig) -> ET.Element:
    joints = range(len(robot.joints))
    turns = [
        str(joint.direction if row == column else 0)
        for row, joint in enumerate(robot.joints)
        for column in joints
    ]
    parameters = {
        'port_name': robot.port,
        'baud_rate': str(robot.baud),
        'error_timeout_ms': '500',
        'dynamixel_model_folder': '/param/dxl_model',
        'number_of_joints': str(len(joints)),
        'number_of_transmissions': str(len(joints)),
        'transmission_to_joint_matrix': ', '.join(turns),
        'joint_to_transmission_matrix': ', '.join(turns),
    }
    root = _tags(robot, 'dynamixel_hardware_interface/DynamixelHardware', parameters)
    for joint in robot.joints:
        root.append(_servo(joint))
    return root


def _servo(joint: JointConfig) -> ET.Element:
    gpio = ET.Element('gpio', name=f'dxl{joint.id}')
    parameters = {'type': 'dxl', 'ID': str(joint.id), 'Operating Mode': '3'}
    if joint.zero_tick != TICKS_PER_TURN // 2:
        zero_rad = -joint.zero_tick * RAD_PER_TICK
        parameters['[unit info]'] = '; '.join(
            f'{item}, {RAD_PER_TICK:.16g}, rad, signed, {zero_rad:.12g}'
            for item in ('Present Position', 'Goal Position')
        )
    _parameters(gpio, parameters)
    ET.SubElement(gpio, 'command_interface', name='Goal Position')
    for name in ('Position', 'Velocity', 'Current'):
        ET.SubElement(gpio, 'state_interface', name=f'Present {name}')
    return gpio


def _tags(robot: RobotConfig, plugin: str, parameters: dict[str, str]) -> ET.Element:
    """Return the tags that both have: the plugin, and every joint with its limits."""
    root = ET.Element('ros2_control', name=robot.name, type='system')
    hardware = ET.SubElement(root, 'hardware')
    ET.SubElement(hardware, 'plugin').text = plugin
    _parameters(hardware, parameters)
    for joint in robot.joints:
        tag = ET.SubElement(root, 'joint', name=joint.name)
        command = ET.SubElement(tag, 'command_interface', name='position')
        low, high = joint.limits_rad
        _parameters(command, {'min': f'{low:g}', 'max': f'{high:g}'})
        for name in ('position', 'velocity', 'effort'):
            ET.SubElement(tag, 'state_interface', name=name)
    return root


def _parameters(parent: ET.Element, values: dict[str, str]) -> None:
    for name, value in values.items():
        ET.SubElement(parent, 'param', name=name).text = value
