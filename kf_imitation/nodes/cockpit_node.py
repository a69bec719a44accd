"""Cockpit node: what the graph publishes, to a page; what the page asks, to services."""

import math
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from socket import socket
from time import monotonic
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PolygonStamped
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.parameter import Parameter as RosParameter
from rclpy.parameter import parameter_value_to_python
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_srvs.srv import SetBool, Trigger

from kf_imitation.cockpit import actions
from kf_imitation.cockpit.access import load_token, token_file
from kf_imitation.cockpit.actions import Action, Outcome
from kf_imitation.cockpit.board import Board, Picture
from kf_imitation.cockpit.heard import Heard
from kf_imitation.cockpit.model import head_model
from kf_imitation.cockpit.movement import movement
from kf_imitation.cockpit.pictures import jpeg
from kf_imitation.cockpit.place import address_line, place_from
from kf_imitation.cockpit.recording import Recording
from kf_imitation.cockpit.server import CockpitServer, read_files
from kf_imitation.cockpit.summary import (
    NodeStatus,
    about_robot,
    about_tuning,
    finite,
    health,
    jog_refusal,
    reason,
    recording_state,
)
from kf_imitation.data_types import FloatArray
from kf_imitation.errors import SourceError
from kf_imitation.nodes import qos
from kf_imitation.nodes.awaiting import awaitable
from kf_imitation.nodes.conversions import from_image, from_scalars, to_ns
from kf_imitation.nodes.face_messages import from_expression, from_landmarks, from_region
from kf_imitation.nodes.jogger import Jogger
from kf_imitation.nodes.node_base import OK, WARN, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.nodes.polled import Polled, look
from kf_imitation.nodes.trajectory_messages import jog_message
from kf_imitation.parameters.definition import Value
from kf_imitation.paths import share_path, user_path
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.visualization.avatar import face_strokes

LOOK_S = 0.1
# The strokes of a drawn face cost 5 ms; one that hardly moves is not drawn again.
FACE_HZ = 10.0
FACE_MOVES = 0.01
# What the servos' sensors say anyway of a joint that holds still.
POSE_RAD = 0.002
# An answer may be lost (service_question.py); a stop is asked for again, a reading of parameters
# comes again anyway.
STOP_AGAIN_S = 0.25
PARAMETERS_S = 1.0
STOP_FOR_S = 5.0
KEYFRAMES_KEPT = 24
TWO_HEADS = 'unclear, as two servo nodes of one name run'
_ALWAYS = ('robot', 'tuning')


class CockpitNode(KfNode):
    """Serves the cockpit.

    It listens to topics while somebody watches, to images while somebody sees them.

    Attributes:
        url: of the page, with its secret.
    """

    def __init__(
        self,
        overrides: Mapping[str, Value] | None = None,
        listening: socket | None = None,
        **options: Any,
    ) -> None:
        """Read the robot file, open the page and print its address.

        Args:
            overrides: parameter values that override parameter files.
            listening: at the address already; None: it does so itself.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter, the robot file or the secret is faulty, or no port is free.
        """
        super().__init__('cockpit', overrides, **options)
        robot = load_robot(self.setting('robot', str))
        self._robot, self._mapping = robot, JointMapping(robot)
        self._board = Board()
        self._board.put('robot', about_robot(robot, self._mapping))
        self._board.put('tuning', about_tuning())
        self._position_rad = self._mapping.neutral_rad.copy()
        self._joints: JointState | None = None
        self._drawn: FloatArray | None = None
        # The pose that was read last, its channels and shapes; whether the page lacks them.
        self._read: tuple[Any, FloatArray, FloatArray] | None = None
        self._is_new = True
        self._human: list[float | None] | None = None
        self._human_shapes: list[float | None] | None = None
        self._heard, self._had_rivals = Heard(), False
        self._owners: dict[str, str] = {}
        self._authority = ''
        self._tuned: dict[str, dict[str, Value]] = {}
        self._due_s = dict.fromkeys(('camera', 'face', 'parameters', 'health'), 0.0)
        self._polled = Polled()
        self._listening: list[Any] = []
        self._camera: list[Any] = []
        self._info: CameraInfo | None = None
        self._stops: list[tuple[Future[Outcome], float]] = []
        self._stop_again_s = 0.0
        self._make_clients()
        self._jogger = Jogger(self)
        folder = user_path(self.setting('folder', str) or '~/kf_imitation')
        self._recording = Recording(folder, self.get_namespace())
        # Closing a bag takes a while; everything else goes on meanwhile.
        group = ReentrantCallbackGroup()
        self.create_service(SetBool, '~/record', self._on_record, callback_group=group)
        self._server = self._open(listening)
        self.url = self._server.url
        print(address_line(robot.name, self.url), flush=True)
        if self._server.is_open:
            self.get_logger().warning(
                'the cockpit is open to the network (address): whoever knows its printed address '
                'can see the camera and move the head'
            )
        self.steady_timer(LOOK_S, self._look)
        self._timer = self.steady_timer(1 / self.setting('rate_hz', float), self._show)
        self._timer.cancel()  # until somebody watches

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return how many look on."""
        count = self._server.watchers
        level = WARN if self._server.is_open else OK
        where = ', open to the network' if self._server.is_open else ''
        return level, f'{count or "nobody"} watching{where}', {'watchers': count}

    def close(self) -> None:
        """Send all watchers away; close what is recorded."""
        self._server.close()
        self._recording.close()

    def _open(self, listening: socket | None) -> CockpitServer:
        model = head_model(self._robot)
        for mesh in model.missing:
            self.get_logger().warning(
                f'the page draws the head without {mesh}, which is not there'
            )
        files = read_files(
            share_path('media/cockpit'),
            {
                'model/head.urdf': model.urdf.encode(),
                **{f'model/{name}': path.read_bytes() for name, path in model.meshes.items()},
            },
        )
        token = load_token(token_file())
        return CockpitServer(
            place_from(self.settings),
            token,
            self._robot,
            files,
            self._board,
            self._act,
            self._refused,
            listening,
        )

    def _refused(self) -> str:
        if self.settings['controls']:
            return ''
        return 'this page may only look on, and stop (parameter controls of the cockpit)'

    # What is shown.

    def _look(self) -> None:
        """Listen while somebody watches; ask again for what has not been answered."""
        self._ask_to_stop()
        self._jogger.tick(monotonic())
        self._recording.look()
        if not self._server.watchers:
            self._stop_listening()
            return
        if not self._listening:
            self._start_listening()
        if self._camera and not (
            self._server.wants('camera') and self.count_publishers(self._camera[0].topic_name)
        ):
            self._stop_camera()
        elif not self._camera and self._server.wants('camera'):
            self._start_camera()
        if self._is_due('parameters', PARAMETERS_S):
            self._read_parameters()
        if self._is_due('health', 0.5):
            self._show_health()
            self._board.put('recording', self._recording_state())

    def _show_health(self) -> None:
        now_s = monotonic()
        rivals = self._heard.rivals(now_s)
        # Of two servo nodes, servo/authority does not tell which one says it.
        stopped = 'stop' in self._owners.values() and not rivals
        self._board.put('health', health(self._heard.shown(now_s), now_s, stopped, rivals))
        if self._authority:
            self._board.put('authority', TWO_HEADS if rivals else self._authority)
        if self._had_rivals and not rivals:
            self._stop_listening()  # and begin again: who moves it is told anew
        self._had_rivals = bool(rivals)

    def _recording_state(self) -> dict[str, Any]:
        recording = self._recording
        return recording_state(
            self._heard.shown(monotonic()),
            monotonic(),
            recording.is_running,
            recording.waits_for,
            recording.sentence,
            recording.failed,
        )

    def _start_listening(self) -> None:
        self._timer.reset()
        listen = partial(self.create_subscription, callback_group=self._polled)
        newest, few = qos.newest(), qos.keyframe_topics()
        self._listening = [
            listen(JointState, 'joint_states', self._on_joints, newest),
            listen(JointState, 'keyframe/explanation', self._on_explanation, 50),
            listen(Image, 'keyframe/image', self._on_keyframe, few),
            listen(PolygonStamped, 'face/region', self._on_region, newest),
            listen(PolygonStamped, 'face/landmarks', self._on_landmarks, newest),
            listen(JointState, 'face/expression', self._on_expression, newest),
            listen(DiagnosticArray, '/diagnostics', self._on_diagnostics, 50),
            listen(DiagnosticStatus, 'servo/authority', self._on_authority, qos.latched()),
            listen(DiagnosticStatus, 'landmarks/calibration', self._on_calibration, qos.latched()),
        ]

    def _start_camera(self) -> None:
        """Listen to small pictures, or to whole images where no camera node of ours sends them."""
        listen = partial(self.create_subscription, callback_group=self._polled)
        if self.count_publishers('image_preview'):
            self._camera = [
                listen(CompressedImage, 'image_preview', self._on_preview, qos.newest()),
                listen(CameraInfo, 'camera_info', self._on_info, qos.newest()),
            ]
        elif self.count_publishers('image_raw'):
            self._camera = [listen(Image, 'image_raw', self._on_image, qos.newest())]

    def _stop_camera(self) -> None:
        for subscription in self._camera:
            self.destroy_subscription(subscription)
        self._camera, self._info = [], None

    def _stop_listening(self) -> None:
        if not self._listening:
            return
        self._timer.cancel()
        self._stop_camera()
        for subscription in self._listening:
            self.destroy_subscription(subscription)
        self._listening, self._joints = [], None
        self._drawn = self._human = self._read = None
        self._tuned = {}  # the next watcher is told them all
        self._board.keep_only(_ALWAYS)

    def _is_due(self, name: str, period_s: float) -> bool:
        now_s = monotonic()
        if now_s < self._due_s[name]:
            return False
        self._due_s[name] = max(self._due_s[name] + period_s, now_s + period_s / 2)
        return True

    def _show(self) -> None:
        """Take what was published meanwhile, at the rate of the page, and put joints up."""
        for subscription in (*self._listening, *self._camera):
            look(subscription)
        message, self._joints = self._joints, None
        if message is None:
            return
        angles = from_scalars(message)
        currents = dict(zip(message.name, message.effort, strict=False))
        for place, name in enumerate(self._robot.names):
            if math.isfinite(angles.get(name, math.nan)):
                self._position_rad[place] = angles[name]
        names = self._robot.names
        shown = {
            'position': finite([angles.get(name, math.nan) for name in names]),
            'current': finite([currents.get(name, math.nan) for name in names]),
        }
        self._board.put('joints', shown)
        if self._is_due('face', 1 / FACE_HZ):
            self._show_pose()

    def _show_pose(self) -> None:
        """Put up what the pose shows, beside the person, and draw it, where that has changed."""
        pose, read = self._position_rad, self._read
        if read is None or max(map(abs, pose - read[0])) > POSE_RAD:
            read = self._read = pose.copy(), *self._mapping.shown(pose)
            self._is_new = True
        _, values, shapes = read
        if self._is_new:
            self._is_new = False
            self._board.put('expression', {'human': self._human, 'robot': finite(values)})
            both = {'human': self._human_shapes, 'robot': finite(shapes, 2)}
            self._board.put('shapes', both)
        moved = self._drawn is None or max(map(abs, values - self._drawn)) > FACE_MOVES
        if self._server.wants('face') and moved:
            self._drawn = values
            with self.ledger.timed('draw face'):
                strokes, points = face_strokes(values)
            self._board.put('face', Picture({'strokes': strokes}, points))

    def _on_joints(self, message: JointState) -> None:
        self._joints = message

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_preview(self, message: CompressedImage) -> None:
        if self._info is not None:  # region and landmarks are in pixels of the whole frame
            about = {'width': self._info.width, 'height': self._info.height}
            self._board.put('camera', Picture(about, message.data.tobytes()))

    def _on_image(self, message: Image) -> None:
        if not self._is_due('camera', 1 / self.setting('rate_hz', float)):
            return
        try:
            with self.ledger.timed('picture'):
                data = jpeg(from_image(message), self.setting('picture_px', int))
        except SourceError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        about = {'width': message.width, 'height': message.height}
        self._board.put('camera', Picture(about, data))

    def _on_keyframe(self, message: Image) -> None:
        try:
            data = jpeg(from_image(message), 112)
        except SourceError:
            return  # the landmarks node says so
        picture = Picture({'id': str(to_ns(message.header.stamp))}, data)
        self._board.append('keyframe_pictures', picture, KEYFRAMES_KEPT)

    def _on_explanation(self, message: JointState) -> None:
        values = from_scalars(message)
        stamp_ns = to_ns(message.header.stamp)
        if values.get('is_keyframe') == 1.0:
            about = {
                'id': str(stamp_ns),
                'time_s': stamp_ns * 1e-9,
                'score': finite([values.get('score', math.nan)])[0],
                'reason': reason(values),
            }
            self._board.append('keyframes', about, KEYFRAMES_KEPT)
        else:
            row = finite([values.get('score', math.nan), values.get('threshold', math.nan)])
            self._board.append('scores', [stamp_ns * 1e-9, *row])

    def _on_region(self, message: PolygonStamped) -> None:
        region = from_region(message)
        box = None if region is None else [region.x, region.y, region.size]
        self._board.put('region', box)

    def _on_landmarks(self, message: PolygonStamped) -> None:
        points = from_landmarks(message).points_px
        self._board.put('landmarks', [finite(point, 1) for point in points])

    def _on_expression(self, message: JointState) -> None:
        expression = from_expression(message)
        before, self._human = self._human, finite(expression.values)
        about = {'id': str(expression.stamp_ns), 'moved': movement(before, self._human)}
        self._board.append('movements', about, KEYFRAMES_KEPT)
        shapes = expression.shapes
        self._human_shapes = None if shapes is None else finite(shapes.values, 2)
        self._is_new = True

    def _on_authority(self, message: DiagnosticStatus) -> None:
        self._owners = {pair.key: pair.value for pair in message.values}
        self._due_s['health'] = 0.0
        self._authority = message.message

    def _on_calibration(self, message: DiagnosticStatus) -> None:
        values = {pair.key: pair.value for pair in message.values}
        shown = {
            'sentence': message.message,
            'running': values.get('running') == 'true',
            'progress': float(values.get('progress', 0.0)),
            'bad': message.level != OK,
        }
        self._board.put('calibration', shown)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        prefix = f'{self.get_namespace().rstrip("/")}/'
        for status in message.status:
            space, _, name = status.hardware_id.rpartition('/')
            if f'{space}/' == prefix and status.name.startswith('kf_imitation: '):
                values = {pair.key: pair.value for pair in status.values}
                level = int.from_bytes(status.level, 'big')
                self._heard.take(name, NodeStatus(level, status.message, values, monotonic()))

    # What is asked.

    def _make_clients(self) -> None:
        client = self.create_client
        self._triggers = {name: client(Trigger, f'servo/{name}') for name in actions.TRIGGERS}
        self._torque = client(SetBool, 'servo/torque')
        self._calibrate = client(SetBool, 'landmarks/calibrate')
        nodes = actions.TUNED_NODES
        self._setters = {node: client(SetParameters, f'{node}/set_parameters') for node in nodes}
        # The youngest: a node whose answer has reached one of them knows all other clients too.
        self._getters = {node: client(GetParameters, f'{node}/get_parameters') for node in nodes}

    def _act(self, action: Action) -> 'Future[Outcome]':
        """Begin an action in the thread of the executor; called by the server's."""
        outcome: Future[Outcome] = Future()
        outcome.set_running_or_notify_cancel()  # a server that waits no longer cannot cancel it
        if self.executor is None:
            outcome.set_result(Outcome(False, 'the cockpit is just starting'))
        else:
            self.executor.create_task(self._begin, action, outcome)
        return outcome

    def _begin(self, action: Action, outcome: 'Future[Outcome]') -> None:
        if action == actions.Trigger('stop'):
            self._stops.append((outcome, monotonic() + STOP_FOR_S))
            self._stop_again_s = 0.0
            self._ask_to_stop()
        elif isinstance(action, actions.Trigger):
            self._call(self._triggers[action.service], Trigger.Request(), outcome, _said)
        elif isinstance(action, actions.Record):
            if action.on:
                self.set_parameters([RosParameter('record_images', value=action.images)])
            self._record(action.on).add_done_callback(lambda done: _settle(outcome, done.result()))
        elif isinstance(action, actions.Calibrate):
            self._call(self._calibrate, SetBool.Request(data=action.on), outcome, _said)
        elif isinstance(action, actions.Torque):
            self._call(self._torque, SetBool.Request(data=action.on), outcome, _said)
        elif isinstance(action, actions.SetParameter):
            changed = RosParameter(action.name, value=action.value).to_parameter_msg()
            request = SetParameters.Request(parameters=[changed])

            def read(answer: Any) -> Outcome:
                self._due_s['parameters'] = 0.0
                result = answer.results[0]
                done = f'{action.node}.{action.name} = {action.value}'
                return Outcome(result.successful, done if result.successful else result.reason)

            self._call(self._setters[action.node], request, outcome, read)
        else:
            self._jog(action, outcome)

    def _record(self, on: bool) -> 'Future[Outcome]':
        if not on:
            return self._recording.end()
        begun: Future[Outcome] = Future()
        begun.set_result(self._recording.begin(self.setting('record_images', bool)))
        return begun

    async def _on_record(self, request: Any, response: Any) -> Any:
        outcome = await awaitable(self, self._record(request.data))
        response.success, response.message = outcome.done, outcome.sentence
        return response

    def _ask_to_stop(self) -> None:
        """Ask for a stop until it is confirmed."""
        now_s = monotonic()
        self._stops = [(o, until_s) for o, until_s in self._stops if not o.done()]
        for outcome, until_s in self._stops:
            if now_s > until_s and not outcome.done():
                outcome.set_result(Outcome(False, 'the servo node does not confirm the stop'))
        if not self._stops or now_s < self._stop_again_s:
            return
        self._stop_again_s = now_s + STOP_AGAIN_S
        client = self._triggers['stop']
        if client.service_is_ready():
            client.call_async(Trigger.Request()).add_done_callback(self._on_stopped)

    def _on_stopped(self, answered: Any) -> None:
        for outcome, _ in self._stops:
            if not outcome.done():
                outcome.set_result(_said(answered.result()))

    def _call(
        self,
        client: Client,
        request: Any,
        outcome: 'Future[Outcome]',
        read: Callable[[Any], Outcome],
    ) -> None:
        if not client.service_is_ready():
            node = client.service_name.rpartition('/')[0]
            outcome.set_result(Outcome(False, f'{node} does not answer: is it running?'))
            return
        asked = client.call_async(request)
        asked.add_done_callback(lambda answered: _settle(outcome, read(answered.result())))

    def _jog(self, action: actions.Jog, outcome: 'Future[Outcome]') -> None:
        servo = self._heard.shown(monotonic()).get('servo')
        if servo is None:
            outcome.set_result(Outcome(False, 'no servo node is heard: nothing was moved'))
        elif refusal := jog_refusal(self._owners, action.joint, self.get_fully_qualified_name()):
            outcome.set_result(Outcome(False, refusal))
        else:
            start_rad = float(self._position_rad[self._robot.names.index(action.joint)])
            times_s = actions.jog_times_s(start_rad, action.position_rad)
            message = jog_message(action.joint, action.position_rad, times_s)
            self._jogger.send(message, action, outcome)

    def _read_parameters(self) -> None:
        for node, client in self._getters.items():
            if not client.service_is_ready():
                continue
            names = list(actions.tunable()[node])

            def read(answered: Any, node: str = node, names: list[str] = names) -> None:
                values = map(parameter_value_to_python, answered.result().values)
                found = {n: v for n, v in zip(names, values, strict=False) if v is not None}
                if found != self._tuned.get(node):
                    self._tuned = {**self._tuned, node: found}
                    self._board.put('parameters', self._tuned)

            client.call_async(GetParameters.Request(names=names)).add_done_callback(read)


def _said(answer: Any) -> Outcome:
    return Outcome(bool(answer.success), str(answer.message))


def _settle(outcome: 'Future[Outcome]', found: Outcome) -> None:
    if not outcome.done():
        outcome.set_result(found)


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(CockpitNode, args)


if __name__ == '__main__':
    sys.exit(main())
