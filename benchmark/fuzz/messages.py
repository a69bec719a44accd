"""ROS messages of anybody, given to our nodes: any field may hold anything its type allows.

No callback may raise: a node that falls over takes the head with it. What our nodes say to their
motor process may be damaged too.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from benchmark.fuzz.damage import DAMAGES, damaged
from benchmark.fuzz.sources import seeds
from kf_imitation.camera.encodings import SUPPORTED_ENCODINGS
from kf_imitation.data_types import CHANNELS, FrameScore
from kf_imitation.head.motor_link import Kind, MotorError, MotorLink, socket_pair
from kf_imitation.nodes.avatar_node import AvatarNode
from kf_imitation.nodes.cockpit_node import CockpitNode
from kf_imitation.nodes.keyframe_node import KeyframeNode
from kf_imitation.nodes.landmarks_node import LandmarksNode
from kf_imitation.nodes.node_base import KfNode
from kf_imitation.nodes.node_main import end_ros, start_ros
from kf_imitation.nodes.servo_node import ServoNode
from kf_imitation.nodes.topic_follower import message_class
from kf_imitation.pipeline.face_pipeline import FaceStep
from kf_imitation.robot import load_robot

ROBOT = 'sim_face'
# The contract "ROS stays in nodes/" holds here too.
CameraInfo, CompressedImage, Image, JointState = (
    message_class(f'sensor_msgs/msg/{name}')
    for name in ('CameraInfo', 'CompressedImage', 'Image', 'JointState')
)
PolygonStamped = message_class('geometry_msgs/msg/PolygonStamped')
JointTrajectory = message_class('trajectory_msgs/msg/JointTrajectory')
DiagnosticArray = message_class('diagnostic_msgs/msg/DiagnosticArray')
DiagnosticStatus = message_class('diagnostic_msgs/msg/DiagnosticStatus')
INFO: dict[str, Any] = {}  # of a subscription of ROS 2 Jazzy: it does not tell the sender
BOUNDS = {
    **{f'int{bits}': (-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f'uint{bits}': (0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
}
WORDS = (*CHANNELS, *load_robot(ROBOT).names, 'process', 'active since', 'kf_imitation: servo')
WORDS = (*WORDS, '/servo', '/keyframe', 'is_keyframe', 'score', 'threshold', 'jpeg')
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(max_size=5))
SIZES = st.one_of(st.integers(0, 80), st.integers(0, (1 << 32) - 1))
ENCODINGS = st.one_of(
    st.sampled_from((*SUPPORTED_ENCODINGS, '', '16UC1', '32FC1', 'BGR8')), st.text(max_size=4)
)
# Of fields where chance would never come upon what makes sense.
FIELDS = {
    'encoding': ENCODINGS,
    'height': SIZES,
    'width': SIZES,
    'step': st.one_of(st.integers(0, 400), SIZES),
}


def run(data: st.DataObject) -> Counter[str]:
    """Give one message to one node."""
    name = data.draw(st.sampled_from([*receivers().callbacks, 'motor link']), label='to')
    if name == 'motor link':
        return _link(data.draw(DAMAGES, label='damage'))
    kind, take = receivers().callbacks[name]
    take(data.draw(messages(kind), label=kind.__name__))
    return Counter({name: 1})


class Receivers:
    """Our nodes, which do not spin.

    Attributes:
        callbacks: what takes messages of which type, by the names of node and topic.
    """

    def __init__(self) -> None:
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        start_ros([])
        late = {'most_latency_s': 0.0}
        head = {**late, 'robot': ROBOT, 'port': 'none', 'command_age_s': 3600.0}
        make: dict[str, Callable[..., KfNode]] = {
            'keyframe': lambda: KeyframeNode(late, _Pipeline()),
            'landmarks': lambda: LandmarksNode(late),
            'servo': lambda: ServoNode(head),
            'avatar': lambda: AvatarNode({'page_port': 0, 'robot': ROBOT}),
            'cockpit': lambda: CockpitNode({'port': 0, 'robot': ROBOT}),
        }
        self._nodes = {name: build() for name, build in make.items()}
        nodes: dict[str, Any] = self._nodes
        keyframe, landmarks, servo, avatar, cockpit = nodes.values()
        self.callbacks: dict[str, tuple[type, Callable[[Any], object]]] = {
            'keyframe image': (Image, keyframe._on_image),
            'keyframe packed image': (CompressedImage, keyframe._on_image),
            'keyframe camera info': (CameraInfo, keyframe._on_info),
            'landmarks image': (Image, self._keyframe_image),
            'landmarks camera info': (CameraInfo, self._keyframe_info),
            'landmarks region': (PolygonStamped, landmarks._on_region),
            'servo expression': (JointState, lambda m: servo._on_expression(m, INFO)),
            'servo reflex': (JointState, lambda m: servo._on_reflex(m, INFO)),
            'servo region': (PolygonStamped, servo._on_region),
            'servo trajectory': (JointTrajectory, lambda m: servo._on_trajectory(m, INFO)),
            'servo joints': (JointState, self._measured),
            'servo diagnostics': (DiagnosticArray, servo._senders._hear),
            'avatar joints': (JointState, avatar._on_joints),
            'cockpit joints': (JointState, self._cockpit_joints),
            'cockpit image': (Image, cockpit._on_image),
            'cockpit keyframe': (Image, cockpit._on_keyframe),
            'cockpit explanation': (JointState, cockpit._on_explanation),
            'cockpit region': (PolygonStamped, cockpit._on_region),
            'cockpit landmarks': (PolygonStamped, cockpit._on_landmarks),
            'cockpit expression': (JointState, cockpit._on_expression),
            'cockpit authority': (DiagnosticStatus, cockpit._on_authority),
            'cockpit diagnostics': (DiagnosticArray, cockpit._on_diagnostics),
        }
        self._image, self._info = Image(), CameraInfo()

    def close(self) -> None:
        """End all nodes."""
        for node in self._nodes.values():
            node.close()
            node.destroy_node()
        end_ros()

    def _keyframe_image(self, message: Any) -> None:
        """Let the newest image and the newest info meet."""
        self._image = message
        landmarks: Any = self._nodes['landmarks']
        landmarks._unpack(self._info, message)

    def _keyframe_info(self, message: Any) -> None:
        self._info = message
        landmarks: Any = self._nodes['landmarks']
        landmarks._unpack(message, self._image)

    def _measured(self, message: Any) -> None:
        from kf_imitation.nodes.conversions import from_scalars

        servo: Any = self._nodes['servo']
        servo._head.measured(from_scalars(message))
        servo._head.tick()

    def _cockpit_joints(self, message: Any) -> None:
        cockpit: Any = self._nodes['cockpit']
        cockpit._on_joints(message)
        cockpit._show()


@cache
def receivers() -> Receivers:
    """Return the nodes of this process."""
    return Receivers()


@cache
def messages(kind: Any) -> st.SearchStrategy[Any]:
    """Return messages of a type whose fields hold anything that the type allows."""
    fields: dict[str, str] = kind.get_fields_and_field_types()
    values = {
        name: _data() if name == 'data' else FIELDS[name] if name in FIELDS else _value(text)
        for name, text in fields.items()
    }
    return st.builds(kind, **values)


def _data() -> st.SearchStrategy[Any]:
    packed = st.builds(damaged, st.sampled_from(sorted(seeds().values(), key=len)[:4]), DAMAGES)
    plain = st.integers(0, 40_000).map(bytes)
    return st.one_of(plain, st.binary(max_size=400), packed).map(lambda b: np.frombuffer(b, 'u1'))


def _value(text: str) -> st.SearchStrategy[Any]:
    """Return values of a field by its type, for example sequence<geometry_msgs/Point32>."""
    if text.startswith('sequence<'):
        inner = text.removeprefix('sequence<').split('>')[0].split(',')[0]
        return st.lists(_value(inner), max_size=6)
    if text.endswith(']'):
        inner, _, count = text.removesuffix(']').partition('[')
        return st.lists(_value(inner), min_size=int(count), max_size=int(count))
    if text in BOUNDS:
        low, high = BOUNDS[text]
        return st.one_of(st.integers(low, high), st.integers(max(low, -3), min(high, 3)))
    if text in ('float', 'double'):
        sensible = st.floats(-2, 2, width=32)
        return st.one_of(sensible, st.floats(width=32 if text == 'float' else 64))
    if text == 'octet':
        return st.integers(0, 255).map(lambda n: bytes([n]))
    if text == 'boolean':
        return st.booleans()
    if text.startswith('string'):
        return TEXTS
    package, _, name = text.partition('/')
    return messages(message_class(f'{package}/msg/{name}'))


def _link(damages: list[Any]) -> Counter[str]:
    """Damage a packet of the motor link on its way."""
    ours, theirs = socket_pair()
    between, other = socket_pair()
    try:
        MotorLink(ours).send(Kind.CALL, {'goal': [0.1]}, np.arange(4.0), number=7)
        packet = damaged(theirs.recv(40_000), damages)
        between.send(packet or b'?')
        with suppress(MotorError):
            list(MotorLink(other).receive())
    finally:
        for end in (ours, theirs, between, other):
            end.close()
    return Counter({'motor link': 1})


class _Pipeline:
    """In place of the networks."""

    def push(self, frame: Any) -> FaceStep:
        raw = FrameScore(frame.index, frame.stamp_ns, None)
        return FaceStep(None, 'no face', (), (), raw)

    def reset(self) -> None:
        pass
