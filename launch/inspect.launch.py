"""Views of a running graph, or of a bag that is played: robot, face, plots, parameters.

    ros2 launch kf_imitation inspect.launch.py robot:=sim_face
    ros2 launch kf_imitation inspect.launch.py rviz:=false foxglove:=true avatar:=true

A view that is asked for but not installed is named with the command that installs it, and nothing
starts; `auto` takes it where it is installed.
"""

import os

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from kf_imitation.errors import ConfigError
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot
from kf_imitation.robot.urdf import description
from kf_imitation.ros_graph.environment import check_namespace, checked_defaults
from kf_imitation.ros_graph.nodes import PACKAGE, merged_parameters

CHOICES = ('auto', 'true', 'false')
ARGUMENTS = (
    ('robot', '', 'name in config/robots, or a file; empty takes the parameter file'),
    ('rviz', 'auto', 'RViz with config/mimic.rviz (auto, true or false)'),
    ('rqt', 'false', 'rqt with config/mimic.perspective (auto, true or false)'),
    ('plotjuggler', 'false', 'PlotJuggler with config/plotjuggler.xml (auto, true or false)'),
    ('foxglove', 'false', 'foxglove_bridge; import config/foxglove.json (auto, true or false)'),
    ('model', 'auto', 'robot_state_publisher and the place of the camera (auto, true or false)'),
    ('avatar', 'true', "draw the robot's face on avatar/image and on a page (true or false)"),
    ('namespace', '', 'namespace of the nodes to inspect'),
    ('params', '', 'parameter file that overrides config/kf_imitation.yaml'),
)
# View -> packages that it needs, and what apt calls them.
NEEDS = {
    'rviz': {'rviz2': 'rviz2'},
    'rqt': {'rqt_gui': 'rqt rqt_common_plugins rqt_runtime_monitor'},
    'plotjuggler': {'plotjuggler': 'plotjuggler-ros'},
    'foxglove': {'foxglove_bridge': 'foxglove-bridge'},
    'model': {'robot_state_publisher': 'robot-state-publisher', 'tf2_ros': 'tf2-ros'},
}
# The camera is where the robot's own eyes would be; z looks out of the face.
EYES = (
    '--frame-id base_link --child-frame-id camera_optical_frame '
    '--x 0.1 --z 0.1 --roll -1.5708 --yaw -1.5708'
)
FOXGLOVE_PORT = 8765


def is_installed(package: str) -> bool:
    """Tell whether a ROS package is there."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def choose(given: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the views to start, and a sentence for each that `auto` leaves out.

    Raises:
        ConfigError: with every view that is asked for and not installed, and every wrong word.
    """
    views, left_out, faults = [], [], []
    distribution = os.environ.get('ROS_DISTRO', '<distro>')
    for view, packages in NEEDS.items():
        choice = given[view].lower()
        if choice not in CHOICES:
            faults.append(f'{view} = {given[view]!r} must be one of {", ".join(CHOICES)}')
            continue
        missing = [package for package in packages if not is_installed(package)]
        if choice == 'false':
            continue
        if not missing:
            views.append(view)
            continue
        names = ' '.join(
            f'ros-{distribution}-{name.replace("_", "-")}'
            for package in missing
            for name in packages[package].split()
        )
        sentence = f'{view}: {", ".join(missing)} is not installed: sudo apt install {names}'
        (faults if choice == 'true' else left_out).append(sentence)
    if faults:
        raise ConfigError('inspect.launch.py', faults)
    return views, left_out


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the processes; a faulty argument raises before any of them starts."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    values = merged_parameters(given['params'], given['namespace'])
    robot_name = given['robot'] or str(values['servo']['robot'])
    robot = load_robot(robot_name)
    views, left_out = choose(given)
    check_namespace(given['namespace'])
    namespace = given['namespace'].strip('/')
    environment = checked_defaults(os.environ)
    actions = [SetEnvironmentVariable(name, value) for name, value in environment.items()]
    actions += [LogInfo(msg=sentence) for sentence in left_out]
    makers = {
        'rviz': lambda: [
            _viewer('rviz2', 'rviz2', namespace, '-d', str(share_path('config/mimic.rviz')))
        ],
        'rqt': lambda: [
            _viewer(
                'rqt_gui',
                'rqt_gui',
                namespace,
                '--perspective-file',
                str(share_path('config/mimic.perspective')),
            )
        ],
        'plotjuggler': lambda: [
            _viewer(
                'plotjuggler',
                'plotjuggler',
                namespace,
                '--layout',
                str(share_path('config/plotjuggler.xml')),
            )
        ],
        'foxglove': lambda: _foxglove(namespace),
        'model': lambda: _model(description(robot), namespace),
    }
    for view in views:
        actions += makers[view]()
    if given['avatar'].lower() in ('true', '1', 'yes'):
        parameters = {**values['avatar'], 'robot': robot_name}
        actions.append(
            Node(
                package=PACKAGE,
                executable='avatar_node',
                name='avatar',
                namespace=namespace,
                parameters=[parameters],
                output='screen',
                sigterm_timeout='10',
            )
        )
    return actions


def _viewer(package: str, executable: str, namespace: str, *arguments: str) -> Node:
    return Node(
        package=package,
        executable=executable,
        namespace=namespace,
        arguments=list(arguments),
        output='screen',
    )


def _foxglove(namespace: str) -> list[LaunchDescriptionEntity]:
    layout = share_path('config/foxglove.json')
    hint = f'Foxglove: connect to ws://localhost:{FOXGLOVE_PORT}, import the layout {layout}'
    return [
        LogInfo(msg=hint),
        Node(
            package='foxglove_bridge',
            executable='foxglove_bridge',
            namespace=namespace,
            # Only this machine may connect.
            parameters=[{'port': FOXGLOVE_PORT, 'address': '127.0.0.1'}],
            output='screen',
        ),
    ]


def _model(urdf: str, namespace: str) -> list[LaunchDescriptionEntity]:
    """Links of the robot, and the place of the camera."""
    return [
        Node(
            package='tf2_ros',
            executable='static_transform_publisher',
            arguments=EYES.split(),
            output='screen',
        ),
        Node(
            package='robot_state_publisher',
            executable='robot_state_publisher',
            namespace=namespace,
            parameters=[{'robot_description': urdf}],
            output='screen',
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; what starts is known when they are."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
