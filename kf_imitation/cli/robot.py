"""`kf_imitation robot`: check a robot file, begin one, list the robots, export one."""

import argparse
import math
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from kf_imitation.errors import ConfigError, KfImitationError, counted
from kf_imitation.paths import user_path

if TYPE_CHECKING:
    from kf_imitation.robot import RobotConfig

RATE_HZ = 100.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    check = actions.add_parser('check', help='list every problem of a robot file')
    check.add_argument('robot', help='name in config/robots, or a file')
    new = actions.add_parser('new', help='write a robot file to begin with')
    new.add_argument('file', type=user_path, metavar='FILE', help='to write, NAME.yaml')
    new.add_argument(
        '--like', default='sim_face', metavar='NAME', help='robot to copy (default: sim_face)'
    )
    actions.add_parser('list', help='list the robots that come with the package')
    export = actions.add_parser('export', help='write a URDF, for MuJoCo and ros2_control too')
    export.add_argument('robot', help='name in config/robots, or a file')
    export.add_argument('--out', type=Path, default=Path(), metavar='DIR', help='default: here')
    export.add_argument('--mjcf', action='store_true', help="write MuJoCo's file NAME.xml too")
    export.add_argument(
        '--ros2-control',
        choices=('mujoco', 'dynamixel'),
        default='',
        help='add the tags of mujoco_ros2_control or dynamixel_hardware_interface',
    )


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        ConfigError: with every fault of the file, or of its URDF.
        KfImitationError: an export is to be a file, or needs MuJoCo, which is not installed.
    """
    from kf_imitation.robot import load_robot, robot_names, urdf_faults

    if args.action == 'list':
        print('\n'.join(robot_names()))
    elif args.action == 'new':
        write_copy(args.file, args.like)
        check = shlex.join(['kf_imitation', 'robot', 'check', str(args.file)])
        print(f'written to {args.file}: change it, then {check}')
    elif args.action == 'export':
        from kf_imitation.robot.export import export

        if args.out.suffix in ('.xml', '.urdf', '.mjcf') and not args.out.is_dir():
            raise KfImitationError(
                f'--out {args.out}: names a folder; the files in it are called after the robot'
            )
        files = export(load_robot(args.robot), args.out, args.mjcf, args.ros2_control)
        print('\n'.join(map(str, files)))
    else:
        robot = load_robot(args.robot)
        if faults := urdf_faults(robot):
            raise ConfigError(robot.source, faults)
        print(summary(robot))
    return 0


def write_copy(path: Path, like: str) -> None:
    """Write the file of a robot, with its comments, under another name.

    Raises:
        ConfigError: there is no such robot, or the file would not be found as one.
        OutputError: the file exists or cannot be written.
    """
    import yaml

    from kf_imitation.output_files import new_file
    from kf_imitation.robot import load_robot

    if path.suffix not in ('.yaml', '.yml'):  # without a suffix it is a robot of the package
        raise ConfigError(str(path), [f'must end in .yaml: {path.name}.yaml'])
    if not path.parent.exists():
        raise ConfigError(str(path), [f'there is no folder {path.parent}'])
    text = Path(load_robot(like).source).read_text(encoding='utf-8')
    name = yaml.safe_dump({'name': path.stem}, allow_unicode=True, width=math.inf).rstrip()
    named = re.sub(r'^name: *[^ #\n]+', lambda _: name, text, count=1, flags=re.MULTILINE)
    with new_file(path, overwrite=None) as partial:
        partial.write_text(named, encoding='utf-8')


def summary(robot: 'RobotConfig') -> str:
    """Return the robot in a few lines: name, bus, joints, a bus cycle's cost, and advice."""
    from kf_imitation.robot.cycle_budget import budget_text

    lines = [
        f'{robot.name}: {counted(len(robot.joints), "joint")} on {robot.port} at {robot.baud} '
        'baud, no problems'
    ]
    width = max(len(name) for name in robot.names)
    for joint in robot.joints:
        low, high = joint.limits_rad
        lines.append(
            f'  {joint.name:{width}}  id {joint.id:3}  {joint.model:12}'
            f'  {low:+.2f} … {high:+.2f} rad  {", ".join(joint.channels) or "no channels"}'
        )
    lines.append(f'  {budget_text(robot, RATE_HZ)}')
    return '\n'.join([*lines, *(f'  advice: {sentence}' for sentence in advice(robot))])


def advice(robot: 'RobotConfig') -> list[str]:
    """Return what is allowed and hardly meant, of lids and jaws; mostly nothing."""
    from kf_imitation.face_geometry.apertures import APERTURES
    from kf_imitation.robot.channel_gains import READ_IN_FRAMES

    straight, sentences = [], []
    for joint in robot.joints:
        followed = [channel for channel in joint.channels if channel in APERTURES]
        straight += [f'{joint.name} ({c})' for c in followed if c not in joint.curves]
        slow = sorted({*joint.channels} - READ_IN_FRAMES)
        if followed and slow:
            sentences.append(
                f'{joint.name} follows keyframes alone, which miss blinks and speech, as nothing '
                f'else knows {" and ".join(slow)}; without that it follows every frame'
            )
    if straight:
        sentences.append(
            f'{", ".join(straight)}: a number moves a lid or jaw in proportion, but eyes are '
            'shut at an eye_close of 0.75 and mouths open sooner than jaw_open grows; '
            'up, down or points follow people (docs/your_own_head.md, channel gains)'
        )
    return sentences
