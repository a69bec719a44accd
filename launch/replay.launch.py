"""A bag once more: through all stages if it holds images, else its expressions to the head.

    ros2 launch kf_imitation replay.launch.py bag:=run1 robot:=sim_face rate:=0.5 loop:=true

Composition only: kf_imitation.ros_graph.replay_graph says which nodes run with which parameters.
All of them run on the bag's time (/clock). The run ends with the bag, when a node ends that the
head needs (exit code 1: with a fault), or with Ctrl-C.
"""

import os

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from kf_imitation.errors import ConfigError
from kf_imitation.ros_graph.environment import checked_defaults
from kf_imitation.ros_graph.nodes import PACKAGE, ending
from kf_imitation.ros_graph.replay_graph import PLAYERS, ReplayOptions, build_replay_graph

ARGUMENTS = (
    ('bag', '', 'bag folder or file, MCAP or SQLite'),
    ('robot', '', 'name in config/robots, or a file; empty takes the parameter file'),
    ('port', '', 'serial device, simulated, or none; empty takes the robot file'),
    ('rate', '1.0', 'bag seconds per second'),
    ('loop', 'false', 'start again at the end (true or false)'),
    ('start_offset', '0.0', 'what is left out at the beginning [s]'),
    ('topic', '', 'image topic of a bag with several'),
    ('player', 'ours', f'{" or ".join(PLAYERS)}: the player of a ROS installation'),
    ('record', '', 'bag folder to create; empty records nothing'),
    ('record_images', 'false', 'record images too, which show people (true or false)'),
    ('namespace', '', 'of all nodes and relative topics'),
    ('params', '', 'parameter file that overrides config/kf_imitation.yaml'),
)
# For the last move after the bag, where the player does not see to it.
TAIL_S = 3.0


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the processes; a faulty argument raises before any of them starts."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    for name in ('loop', 'record_images'):
        given[name] = given[name].lower() in ('true', '1', 'yes')
    for name in ('rate', 'start_offset'):
        given[name] = number(name, given[name])
    graph, command = build_replay_graph(ReplayOptions(**given))
    environment = checked_defaults(os.environ)
    actions = [SetEnvironmentVariable(name, value) for name, value in environment.items()]
    actions += [
        Node(
            package=PACKAGE,
            executable=node.executable,
            name=node.name,
            namespace=graph.namespace,
            parameters=[{**node.parameters, 'use_sim_time': node.name != 'player'}],
            remappings=list(node.remappings),
            output='screen',
            # The head may need 3 s for its way to neutral before torque goes off.
            sigterm_timeout='10',
            on_exit=ended(node.name),
        )
        for node in graph.nodes
    ]
    if command:
        end = TimerAction(period=TAIL_S, actions=[Shutdown(reason='the bag has been played')])
        actions.append(ExecuteProcess(cmd=command, output='screen', on_exit=end))
    return actions


def ended(name: str):
    """Return what launch calls when a node has ended."""

    def react(event, context: LaunchContext) -> LaunchDescriptionEntity | None:
        sentence, goes_on = ending(name, event.returncode)
        if context.is_shutdown:
            return None
        return LogInfo(msg=sentence) if goes_on else Shutdown(reason=sentence)

    return react


def number(name: str, text: str) -> float:
    """Return the value of an argument."""
    try:
        return float(text)
    except ValueError:
        raise ConfigError('replay', [f'{name} = {text!r} must be a number']) from None


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the graph is built when they are known."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
