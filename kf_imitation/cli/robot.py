"""`kf_imitation robot`: check a robot file, list the robots that come with the package."""

import argparse
from typing import TYPE_CHECKING

from kf_imitation.errors import ConfigError

if TYPE_CHECKING:
    from kf_imitation.robot import RobotConfig

RATE_HZ = 100.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    check = actions.add_parser('check', help='list every problem of a robot file')
    check.add_argument('robot', help='name in config/robots, or a file')
    actions.add_parser('list', help='list the robots that come with the package')


def run(args: argparse.Namespace) -> int:
    """Do it.

    Raises:
        ConfigError: with every fault of the file, or of its URDF.
    """
    from kf_imitation.robot import load_robot, robot_names, urdf_faults

    if args.action == 'list':
        print('\n'.join(robot_names()))
    else:
        robot = load_robot(args.robot)
        if faults := urdf_faults(robot):
            raise ConfigError(robot.source, faults)
        print(summary(robot))
    return 0


def summary(robot: 'RobotConfig') -> str:
    """Return the robot in a few lines: name, bus, joints, and what a bus cycle costs."""
    from kf_imitation.head.cycle_budget import budget_text

    lines = [
        f'{robot.name}: {len(robot.joints)} joints on {robot.port} at {robot.baud} baud, '
        'no problems'
    ]
    width = max(len(name) for name in robot.names)
    for joint in robot.joints:
        low, high = joint.limits_rad
        lines.append(
            f'  {joint.name:{width}}  id {joint.id:3}  {joint.model:12}'
            f'  {low:+.2f} … {high:+.2f} rad  {", ".join(joint.channels) or "no channels"}'
        )
    lines.append(f'  {budget_text(robot, RATE_HZ)}')
    return '\n'.join(lines)
