"""`servo jog JOINT RAD`: move one joint slowly and gently; the others hold."""

import argparse
import math

from kf_imitation.cli.servo_tools.connection import running_head
from kf_imitation.errors import ConfigError, nearest
from kf_imitation.robot import load_robot


def run(args: argparse.Namespace) -> int:
    """Move and print where the joint is.

    Raises:
        ConfigError: no such joint, or the goal is outside its limits; before any torque is on,
            unless the goal counts from where the joint is.
    """
    robot = load_robot(args.robot)
    if args.joint not in robot.names:
        hint = nearest(args.joint, robot.names) or f' ({", ".join(robot.names)})'
        raise ConfigError('servo jog', [f'{args.joint} is not a joint of {robot.name}{hint}'])
    index = robot.names.index(args.joint)
    low, high = robot.joints[index].limits_rad
    if not args.relative and not low <= args.rad <= high:
        raise ConfigError(
            'servo jog', [f'{args.joint} = {args.rad:g} rad is outside [{low:g}, {high:g}]']
        )
    problems = []
    if not 0.0 < args.speed < math.inf:
        problems.append(f'--speed = {args.speed:g} rad/s must be above 0')
    if not 0.0 < args.current <= 1.0:
        problems.append(f'--current = {args.current:g} must be above 0, up to 1')
    if problems:
        raise ConfigError('servo jog', problems)
    with running_head(args, args.speed, args.current) as head:
        head.wait(lambda: bool(head.cycles), 2.0)
        start = float(head.cycles[-1].present_rad[index])
        goal = start + args.rad if args.relative else args.rad
        arrived = head.go({args.joint: goal})
        last = head.cycles[-1]
        print(
            f'{args.joint}: from {start:+.3f} to {last.present_rad[index]:+.3f} rad '
            f'(goal {goal:+.3f}), {last.current_a[index]:+.3f} A'
        )
        if not arrived:
            print(head.controller.status().sentence)
    return 0 if arrived else 1
