"""The node graph of a run, described once: launch/ starts it as processes, `mimic` inside one.

Pure Python: no ROS is needed to build or check a graph.
"""

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from kf_imitation.camera.sources import make_source
from kf_imitation.camera.upright import check_turn
from kf_imitation.errors import SourceError, check_package
from kf_imitation.output_files import check_free
from kf_imitation.parameters.definition import Value
from kf_imitation.parameters.schema import PARAMETER_FILE, SCHEMA, load_file
from kf_imitation.parameters.settings import SourceSettings, UprightSettings
from kf_imitation.paths import share_path, user_path
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.environment import check_namespace

PACKAGE = 'kf_imitation'
DEMO_CLIP = 'media/demo.mp4'
TOPIC = 'topic:'  # a source: images of another package's camera node

# The topic that a node listens to once it is ready for work; the camera node can wait for it.
INPUTS = {
    'keyframe': 'image_raw',
    'landmarks': 'keyframe/image',
    'servo': 'face/expression',
    'recorder': 'keyframe/score',
}

# What a bag holds, by topic and message type. Images show people: only on request.
RECORDED = {
    'camera_info': 'sensor_msgs/msg/CameraInfo',
    'face/region': 'geometry_msgs/msg/PolygonStamped',
    'face/reflex': 'sensor_msgs/msg/JointState',
    'keyframe/score': 'std_msgs/msg/Float32',
    'keyframe/explanation': 'sensor_msgs/msg/JointState',
    'keyframe/camera_info': 'sensor_msgs/msg/CameraInfo',
    'face/landmarks': 'geometry_msgs/msg/PolygonStamped',
    'face/head_pose': 'geometry_msgs/msg/PoseStamped',
    'face/expression': 'sensor_msgs/msg/JointState',
    'servo/joint_commands': 'sensor_msgs/msg/JointState',
    'joint_states': 'sensor_msgs/msg/JointState',
    '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray',
}
RECORDED_IMAGES = {
    'image_raw': 'sensor_msgs/msg/Image',
    'keyframe/image': 'sensor_msgs/msg/Image',
}
# What is made only while somebody looks on.
VIEWED = {
    'keyframe/annotated': 'sensor_msgs/msg/Image',
    'face/markers': 'visualization_msgs/msg/MarkerArray',
    'avatar/image': 'sensor_msgs/msg/Image',
}
# Every topic of the graph that a view may show, by message type.
TOPICS = {
    **RECORDED,
    **RECORDED_IMAGES,
    **VIEWED,
    'landmarks/calibration': 'diagnostic_msgs/msg/DiagnosticStatus',
    'servo/authority': 'diagnostic_msgs/msg/DiagnosticStatus',
    '/rosout': 'rcl_interfaces/msg/Log',
}
# Started as processes also where the other nodes share one: their work must not delay the head.
OWN_PROCESS = ('cockpit',)
# Whose end is said and does not stop the head.
SIDE = ('recorder', 'avatar', 'foxglove', 'cockpit')
# Results of every frame: kept by their publisher for a recorder that matches a moment late.
PER_FRAME = ('face/region', 'face/reflex', 'keyframe/score', 'keyframe/explanation')


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a user asks of a run; '' leaves the choice to the parameter files.

    Attributes:
        source: video, camera, folder, URL, bag, test-pattern or topic:NAME; '' is the demo clip.
        robot: name in config/robots, or a file.
        port: serial device, `simulated` or `none`.
        record: bag folder to make; '' records nothing.
        record_images: images go into the bag too.
        realtime: play files at their own pace, like a camera: what comes too late is skipped.
        every_frame: skip nothing, at the price of being late.
        params: file whose values override those of config/kf_imitation.yaml.
        namespace: of all nodes and relative topics.
        avatar: draw the robot's face, as an image topic and on a page.
        cockpit: serve the page to see, tune and stop the head.
        foxglove: serve all topics to Foxglove's app.
        loop: start a file again at its end.
        rotate: clockwise turn of every image, 0, 90, 180 or 270 [deg].
        mirror: swap left and right of every image.
    """

    source: str = ''
    robot: str = ''
    port: str = ''
    record: str = ''
    record_images: bool = False
    realtime: bool = True
    every_frame: bool = False
    params: str = ''
    namespace: str = ''
    avatar: bool = False
    cockpit: bool = False
    foxglove: bool = False
    loop: bool = False
    rotate: int = 0
    mirror: bool = False


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node of the graph.

    Attributes:
        name: ROS name; also its section of the schema and of parameter files.
        parameters: every parameter, by dotted name.
        remappings: pairs of topic names.
    """

    name: str
    parameters: Mapping[str, Value]
    remappings: tuple[tuple[str, str], ...] = ()

    @property
    def executable(self) -> str:
        """Name in lib/kf_imitation and of the module in kf_imitation.nodes."""
        return f'{self.name}_node'

    @property
    def foreign_images(self) -> bool:
        """Whether it takes the images of another package's camera."""
        return bool(self.parameters.get('topic'))

    def node_class(self) -> Any:
        """Import and return the class of the node (needs ROS)."""
        module = import_module(f'{PACKAGE}.nodes.{self.executable}')
        return getattr(module, f'{self.name.capitalize()}Node')


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in the order in which they start: the camera last, so that all others listen.

    Attributes:
        nodes: to start.
        namespace: of all.
        lossless: no frame may be skipped.
        options: of the user.
        robot_name: as its file says; '' of a replay, which serves no page.
    """

    nodes: tuple[NodeSpec, ...]
    namespace: str
    lossless: bool
    options: RunOptions = field(repr=False)
    robot_name: str = ''

    def node(self, name: str) -> NodeSpec:
        """Return a node by name."""
        return next(node for node in self.nodes if node.name == name)


def ending(name: str, code: int) -> tuple[str, bool]:
    """Return what to say of a node that has ended with an exit code, and whether the run goes on.

    Raises:
        RuntimeError: the head needs it and it had a fault; the exit code of launch says so.
    """
    if name in SIDE:
        return f'{name} has ended: the head goes on', True
    if code not in (0, -signal.SIGINT, -signal.SIGTERM):
        raise RuntimeError(f'{name} has ended with exit code {code}')
    return f'{name} has ended', False


def build_graph(options: RunOptions) -> Graph:
    """Work out nodes and parameters of a run.

    Args:
        options: of the user.

    Raises:
        ConfigError: a parameter file or the robot file is faulty.
        MissingPackageError: Foxglove is asked for and not installed.
        OutputError: the record folder exists or cannot be made.
        SourceError: the source does not exist.
    """
    check_namespace(options.namespace)
    values = merged_parameters(options.params, options.namespace)
    camera, servo, recorder = values['camera'], values['servo'], values['recorder']
    camera['source'] = options.source or camera['source'] or str(share_path(DEMO_CLIP))
    camera['realtime'] = options.realtime and camera['realtime']
    camera['loop'] = options.loop or camera['loop']
    servo['robot'] = options.robot or servo['robot']
    robot = load_robot(str(servo['robot']))  # now, and not once the models are loaded
    servo['port'] = options.port or servo['port']
    recorder['directory'] = options.record or recorder['directory']
    recorder['images'] = options.record_images or recorder['images']
    topic = foreign_topic(str(camera['source']))
    values['keyframe']['topic'] = topic or values['keyframe']['topic']
    # Images are turned once: by the node that takes them in.
    taker = values['keyframe'] if topic else camera
    taker['rotate'] = options.rotate or camera['rotate'] or taker['rotate']
    taker['mirror'] = options.mirror or camera['mirror'] or taker['mirror']
    check_turn(UprightSettings(int(taker['rotate'])))
    waits = not topic and not make_source(str(camera['source']), SourceSettings()).is_live
    # Without a pace, or if the user wants it, no frame is lost, whatever the machine's speed.
    lossless = waits and (options.every_frame or not camera['realtime'])
    camera['lossless'] = values['keyframe']['lossless'] = lossless
    if lossless:
        servo['command_age_s'] = 3600.0  # what is late, or at another pace, is wanted too
    _bound_latency(values, lossless)
    names = ['keyframe', 'landmarks', 'servo']
    if recorder['directory']:
        check_free(user_path(recorder['directory']))
        names.append('recorder')
    if waits:
        camera['wait_for'] = ' '.join(names)
    if options.foxglove:
        check_package('foxglove')
    for name in ('avatar', 'foxglove', 'cockpit'):
        if getattr(options, name):
            values[name]['robot'] = servo['robot']
            names.append(name)
    if not topic:
        names.append('camera')
    nodes = tuple(NodeSpec(name, values[name]) for name in names)
    return Graph(nodes, options.namespace.strip('/'), lossless, options, robot.name)


def foreign_topic(source: str) -> str:
    """Return the image topic that a source `topic:NAME` means; '' for all other sources.

    Raises:
        SourceError: the name is none.
    """
    if not source.startswith(TOPIC):
        return ''
    name = source.removeprefix(TOPIC)
    if not re.fullmatch(r'/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*', name):
        raise SourceError(f'{source}: must name a topic, for example {TOPIC}/camera/image_raw')
    return name


def _bound_latency(values: Mapping[str, dict[str, Any]], lossless: bool) -> None:
    """Let one bound hold from capture to command: keyframes are older by what the choice takes."""
    keyframe = values['keyframe']
    if lossless:
        keyframe['most_latency_s'] = 0.0
    most_s = keyframe['most_latency_s']
    of_keyframes_s = most_s + keyframe['detector.commit_delay_s'] if most_s else 0.0
    keyframe['learn_neutral'] = values['landmarks']['learn_neutral']
    values['landmarks']['most_latency_s'] = values['servo']['most_latency_s'] = of_keyframes_s


def merged_parameters(params: str = '', namespace: str = '') -> dict[str, dict[str, Any]]:
    """Return all parameters by node: defaults, config/kf_imitation.yaml, then the user's file.

    Args:
        params: the user's file; '' for none.
        namespace: of the nodes; the file may have sections for several.

    Raises:
        ConfigError: with every fault of a file.
    """
    values: dict[str, dict[str, Any]] = {
        node: {parameter.name: parameter.default for parameter in table}
        for node, table in SCHEMA.items()
    }
    files = [share_path(PARAMETER_FILE), *([user_path(params)] if params else [])]
    for file in files:
        for node, section in load_file(file, namespace).items():
            values[node].update(section)
    for node, table in SCHEMA.items():
        for parameter in table:
            if type(parameter.default) is float:
                values[node][parameter.name] = float(values[node][parameter.name])
    return values
