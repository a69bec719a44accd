"""A head mimics a face: camera, keyframe, landmarks and servo nodes, each in its own process.

    ros2 launch kf_imitation mimic.launch.py source:=clip.mp4 robot:=sim_face

Composition only: kf_imitation.ros_graph.nodes says which nodes run and with which parameters. The
run ends when a file has been played, when a node ends that the head needs, or with Ctrl-C. Exit
code 1: such a node ended with a fault, or the head took no part from start to end. Avatar,
Foxglove's and cockpit are started again; the head goes on without them, and without a recorder
whose disk is full.
"""

import os

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from kf_imitation.paths import share_path
from kf_imitation.ros_graph.environment import checked_defaults
from kf_imitation.ros_graph.nodes import PACKAGE, RunOptions, build_graph, ending

RESTARTED = ('avatar', 'foxglove', 'cockpit')  # a second recorder would not find the folder free
ARGUMENTS = (
    (
        'source',
        '',
        'video file, camera (0, /dev/video0, /dev/v4l/by-id/…), folder of images, '
        'URL, bag, test-pattern or topic:NAME (another camera node); empty plays the demo clip',
    ),
    ('rotate', '0', 'clockwise turn of every image: 0, 90, 180 or 270 degrees'),
    ('mirror', 'false', 'swap left and right of every image (true or false)'),
    ('robot', '', 'name in config/robots, or a file; empty takes the parameter file'),
    ('port', '', 'serial device, simulated, or none; empty takes the robot file'),
    ('rviz', 'false', 'also start RViz with config/mimic.rviz (true or false)'),
    ('avatar', 'false', "draw the robot's face on avatar/image and on a page (true or false)"),
    ('foxglove', 'false', "serve all topics to Foxglove's app (true or false)"),
    ('cockpit', 'false', 'serve the page to see, tune and stop the head (true or false)'),
    ('record', '', 'bag folder to create; empty records nothing'),
    ('record_images', 'false', 'record images too, which show people (true or false)'),
    ('namespace', '', 'of all nodes and relative topics'),
    ('realtime', 'true', 'play files at their own pace; false: as fast as the nodes can'),
    ('every_frame', 'false', 'skip no frame of a file, at the price of being late'),
    ('params', '', 'parameter file that overrides config/kf_imitation.yaml'),
)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the processes; a faulty argument raises before any of them starts."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    for name in (
        'rviz',
        'avatar',
        'foxglove',
        'cockpit',
        'record_images',
        'realtime',
        'every_frame',
        'mirror',
    ):
        given[name] = given[name].lower() in ('true', '1', 'yes')
    given['rotate'] = int(given['rotate'])
    rviz = given.pop('rviz')
    graph = build_graph(RunOptions(**given))
    environment = checked_defaults(os.environ)
    for_images = checked_defaults(os.environ, foreign_images=True)
    actions = [SetEnvironmentVariable(name, value) for name, value in environment.items()]
    actions += [
        Node(
            package=PACKAGE,
            executable=node.executable,
            name=node.name,
            namespace=graph.namespace,
            parameters=[dict(node.parameters)],
            remappings=list(node.remappings),
            output='screen',
            # The head may need 3 s for its way to neutral before torque goes off.
            sigterm_timeout='10',
            on_exit=ended(node.name),
            additional_env=for_images if node.foreign_images else {},
            respawn=node.name in RESTARTED,
            respawn_delay=2.0,
            respawn_max_retries=3,
        )
        for node in graph.nodes
    ]
    # Report a missing view before a node starts.
    return (viewers(graph) if rviz else []) + actions


def ended(name: str):
    """Return what launch calls when a node has ended."""

    def react(event, context: LaunchContext) -> LaunchDescriptionEntity | None:
        sentence, goes_on = ending(name, event.returncode)
        if context.is_shutdown:
            return None
        return LogInfo(msg=sentence) if goes_on else Shutdown(reason=sentence)

    return react


def viewers(graph) -> list[LaunchDescriptionEntity]:
    """RViz, the place of the camera and the links of the robot, by inspect.launch.py."""
    arguments = {
        'robot': graph.node('servo').parameters['robot'],
        'namespace': graph.namespace,
        'rviz': 'true',
        'avatar': 'false',
    }
    source = PythonLaunchDescriptionSource(str(share_path('launch/inspect.launch.py')))
    return [IncludeLaunchDescription(source, launch_arguments=arguments.items())]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the graph is built when they are known."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
