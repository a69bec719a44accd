"""Servo node: expressions to smooth motion of the servos, as a lifecycle node."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from geometry_msgs.msg import PolygonStamped
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from kf_imitation.data_types import Expression
from kf_imitation.errors import BusError, KfImitationError
from kf_imitation.expression.keyframe_guide import KeyframeGuide
from kf_imitation.head import authority
from kf_imitation.head.bus_factory import NONE, SIMULATED
from kf_imitation.head.clock import age_problem, boottime_s
from kf_imitation.head.interface import Head
from kf_imitation.head.pose_pacer import PoseBudget, PosePacer
from kf_imitation.head.remote_head import RemoteHead
from kf_imitation.head.reports import ERROR
from kf_imitation.head.stop_record import StopRecord
from kf_imitation.nodes import qos
from kf_imitation.nodes.authority_publisher import AuthorityPublisher
from kf_imitation.nodes.command_senders import CommandSenders
from kf_imitation.nodes.cycle_publisher import CyclePublisher
from kf_imitation.nodes.face_messages import expression_faults, from_expression
from kf_imitation.nodes.goal_publisher import GoalPublisher
from kf_imitation.nodes.handover import PAIRS, Faces, SeenFace
from kf_imitation.nodes.node_base import OK, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.nodes.servo_services import offer_services
from kf_imitation.nodes.stop_input import StopInput
from kf_imitation.nodes.trajectory_messages import from_trajectory, start_delay_s
from kf_imitation.parameters.definition import Value
from kf_imitation.pipeline.flow_control import LatencyBound
from kf_imitation.pipeline.run_figures import BusFigures
from kf_imitation.robot import RobotConfig, load_robot
from kf_imitation.robot.joint_mapping import JointMapping

PACER_PERIOD_S = 0.02
EXPRESSION, REFLEX = 'face/expression', 'face/reflex'
TRAJECTORY = 'servo/joint_trajectory'
TOPICS = {
    authority.FACE: EXPRESSION,
    authority.REFLEX: REFLEX,
    authority.TRAJECTORY: TRAJECTORY,
}
DONE, FAILED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class ServoNode(KfNode, LifecycleNodeMixin):  # type: ignore[misc]
    """Maps face/expression to joint goals and owns the head.

    configure opens the port and asks for every servo; activate sets them up, takes torque and
    listens; deactivate follows the exit policy; cleanup releases the port. autostart does the
    first two. `port: none` publishes goals for another driver (goal_publisher.py).

    The face (robot file: reflex) follows face/reflex, which comes with every frame; of brows, lips
    and mouth corners what that says has changed since the last expression.

    The head relaxes to neutral when for hold_s there was neither an expression nor a face
    (face/region with points): a person who holds still gives no keyframes, but is still there.
    """

    def __init__(
        self,
        overrides: Mapping[str, Value] | None = None,
        faces: Faces | None = None,
        **options: Any,
    ) -> None:
        """Offer the services and, with autostart, configure and activate.

        Args:
            overrides: parameter values that override parameter files.
            faces: from a keyframe node of this process, in place of face/region and face/reflex.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter or the robot file is faulty.
            BusError: port absent or busy, servos missing or of the wrong model.
        """
        KfNode.__init__(self, 'servo', overrides, **options)
        LifecycleNodeMixin.__init__(self)
        self._head: Head | None = None
        self._cycles: CyclePublisher | None = None
        self._active = False
        self._latched = False
        self._took, self._refusal, self._began_stopped = 0, '', False
        self._listening: list[Any] = []
        self._senders = CommandSenders(self, self._yield_to_elder)
        most_s = self.setting('most_latency_s', float)
        self._bound = LatencyBound('command', most_s, self.now_ns, self.ledger)
        self._stop_input = StopInput(self, self.setting('emergency_stop_s', float), self._stop)
        offer_services(
            self,
            lambda: self._head,
            lambda: self._active,
            self._take_over,
            lambda: self._stop_input.problem,
        )
        AuthorityPublisher(self, self._joint_owners, self._sender_of)
        self._faces = faces
        if faces is not None:
            faces.deliver(self, self._on_face, 1)
        if self.setting('autostart', bool):
            self.trigger_configure()
            if self.fault is None:
                self.trigger_activate()
            if fault := self.fault:
                self.close()
                self.destroy_node()
                raise fault

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the robot file and open the port; FAILURE: the log says why."""
        try:
            robot = load_robot(self.setting('robot', str))
            head, self._cycles = make_head(self, robot, self._cycles)
            head.open()
        except KfImitationError as fault:
            return self._fail_transition(fault)
        self._head, self._robot = head, robot
        self._mapping = JointMapping(robot)
        self._guide = KeyframeGuide()
        head.latched = head.latched or self._latched
        self._apply_times(head)
        return DONE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take torque and listen; FAILURE leaves everything off."""
        assert self._head is not None
        self._head.latched |= bool(self._stop_input.problem)
        self._began_stopped = self._head.latched
        try:
            self._head.start()
        except KfImitationError as fault:
            return self._fail_transition(fault)
        self._active = True
        self._senders.begin()
        patience_s = self.setting('pose_patience_s', float)
        self._pacer = PosePacer(self._head, PoseBudget(self._robot, patience_s))
        self._pacer_timer = self.steady_timer(PACER_PERIOD_S, self._pace)
        few, listen = qos.keyframe_topics(), self.create_subscription
        self._listening = [
            listen(JointState, EXPRESSION, self._on_expression, few),
            listen(JointTrajectory, TRAJECTORY, self._on_trajectory, few),
        ]
        if self._faces is not None:
            sender, _ = PAIRS['faces']
            self._senders.note(REFLEX, f'{self.get_namespace().rstrip("/")}/{sender}')
        else:
            self._listening += [
                listen(PolygonStamped, 'face/region', self._on_region, 1),
                listen(JointState, REFLEX, self._on_reflex, qos.newest()),
            ]
        for warning in self._head.warnings:
            self.get_logger().warning(warning)
        return DONE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Follow the exit policy and let torque go."""
        if problem := self._rest():
            self.get_logger().error(problem)
        return DONE

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the port and forget the robot, but not that it was stopped."""
        self._latched = self._head is not None and self._head.latched
        self.close()
        self._head = None
        return DONE

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything."""
        self.close()
        return DONE

    def close(self) -> None:
        """Put the servos to rest and release the port on every way out; what cannot is a fault."""
        problem = self._rest()
        if self._head is not None:
            at_close = self._head.close()
            problem = problem or at_close
        if problem:
            self.fault = self.fault or BusError(problem)

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return what the head says."""
        if self._head is None:
            return OK, 'not configured', {}
        status = self._head.status()
        values: dict[str, object] = dict(status.values)
        if self._active:
            count = self._pacer.count()
            values |= {'poses on time': count.on_time, 'poses merged': count.merged}
            values |= self._senders.values() | self._stop_input.values()
        return bytes([status.level]), status.sentence, values

    def absence(self) -> str:
        """Return why the head has taken no part since the start, and what to do; '' if it has."""
        if self._head is None or not self._active:
            return ''
        if self._head.latched:
            if self._took or not self._began_stopped:
                return ''  # whoever stopped it knows
            why = self._stop_input.problem or 'it was stopped before and not reset'
            how = 'while it runs, kf_imitation servo reset, or Reset on the page, ends that'
            return f'the head took no part: {why}; {how}'
        status = self._head.status()
        if status.level == ERROR and self._cycles and not self._cycles.has_commanded:
            return f'the head took no part: {status.sentence}'
        if self._took or not self._refusal:
            return ''
        return f'the head took no command: {self._refusal}'

    def _joint_owners(self) -> dict[str, str]:
        if self._head is None:
            return {}
        return dict(zip(self._robot.names, self._head.owners(), strict=True))

    def _sender_of(self, kind: str) -> str:
        return self._senders.owner(TOPICS.get(kind, ''))

    def on_settings(self, changed: Mapping[str, Value]) -> None:
        """Apply new times."""
        if self._head is not None:
            self._apply_times(self._head)
        if self._active:
            self._pacer.set_patience(self.setting('pose_patience_s', float))

    def _apply_times(self, head: Head) -> None:
        head.hold_s = self.setting('hold_s', float)
        head.trajectory_most_s = self.setting('trajectory_most_s', float)

    def bus_figures(self) -> BusFigures | None:
        """Return the bus's figures for the table at the end; None without a bus."""
        s = self._head.statistics() if isinstance(self._head, RemoteHead) else None
        if s is None:
            return None
        return BusFigures(s.rate_hz, s.jitter_p99_ms, s.overruns, s.errors)

    def _fail_transition(self, fault: KfImitationError) -> TransitionCallbackReturn:
        """Without autostart the reason goes to the log and the node may be tried again."""
        if self.setting('autostart', bool):
            self.fail(fault)
        else:
            self.get_logger().error(str(fault))
        return FAILED

    def _rest(self) -> str:
        """Listen no more and leave by the exit policy; returns what could not be carried out."""
        self.destroy_later(*self._listening)
        self._listening = []
        if self._head is not None and self._active:
            self._active = False
            self._pacer_timer.cancel()
            self.destroy_later(self._pacer_timer)
            return self._head.rest()
        return ''

    def _on_expression(self, message: JointState, info: dict[str, Any]) -> None:
        if self._head is None or not self._active:
            return None
        expression = self._in_time(EXPRESSION, message, info)
        if expression is None:
            return None
        clock_ns = self.get_clock().now().nanoseconds
        most_s = self.setting('command_age_s', float)
        if old := age_problem(expression.stamp_ns, clock_ns, most_s):
            self.ledger.add('expressions too old')
            return self._log_rejection(self._head.reject(old))
        self._guide.on_keyframe(expression)
        with self.ledger.timed('mapping'):
            goal_rad = self._mapping.goals(expression)
        if reason := self._pacer.show(goal_rad, expression.stamp_ns, boottime_s(), clock_ns):
            return self._log_rejection(reason)
        self._took += 1
        self._pacer_timer.reset()
        if isinstance(self._head, RemoteHead) and self._cycles is not None:
            self._cycles.expect(expression.stamp_ns)
            self._head.ask_for_cycle()
        else:
            self.ledger.observe('capture to command', (clock_ns - expression.stamp_ns) * 1e-9)
        return None

    def _pace(self) -> None:
        """Tick only while a pose waits: fifty wake-ups a second are not for nothing."""
        if not self._pacer.tick(boottime_s()):
            self._pacer_timer.cancel()

    def _on_face(self, face: SeenFace) -> None:
        if self._head is None or not self._active:
            return
        if fault := self._senders.rival_problem():
            self._log_rejection(self._head.reject(fault))
            return
        self._head.keep_alive()
        reflex = face.reflex
        if reflex is not None and self._wants_reflexes and not self._bound.skips(reflex.stamp_ns):
            self._follow(reflex)

    def _on_reflex(self, message: JointState, info: dict[str, Any]) -> None:
        if self._head is None or not self._wants_reflexes:
            return
        expression = self._in_time(REFLEX, message, info)
        if expression is not None:
            self._follow(expression)

    @property
    def _wants_reflexes(self) -> bool:
        return self._active and self.setting('reflex', bool)

    def _follow(self, reflex: Expression) -> None:
        """Move the joints that follow every frame; the next reflex is under way."""
        assert self._head is not None
        clock_ns = self.get_clock().now().nanoseconds
        most_s = self.setting('command_age_s', float)
        if age_problem(reflex.stamp_ns, clock_ns, most_s):
            return
        joints = self._robot.reflex_joints
        goal_rad = self._mapping.goals(self._guide.on_frame(reflex))
        if reason := self._head.set_reflex(joints, goal_rad[joints], reflex.stamp_ns):
            return self._log_rejection(reason)
        self._took += 1
        return None

    def _in_time(self, topic: str, message: JointState, info: dict[str, Any]) -> Expression | None:
        """Return an expression that counts; None for one that is rejected, or skipped as late."""
        assert self._head is not None
        if fault := self._senders.problem(topic, info) or expression_faults(message):
            self._log_rejection(self._head.reject(fault))
            return None
        expression = from_expression(message)
        return None if self._bound.skips(expression.stamp_ns) else expression

    def _on_region(self, message: PolygonStamped) -> None:
        if message.polygon.points and self._head is not None:
            self._head.keep_alive()

    def _on_trajectory(self, message: JointTrajectory, info: dict[str, Any]) -> None:
        if self._head is None or not self._active:
            return None
        most_s = self.setting('command_age_s', float)
        sent_ns = int(info.get('source_timestamp') or time.time_ns())
        fault = self._senders.problem(TRAJECTORY, info)
        if fault := fault or age_problem(sent_ns, time.time_ns(), most_s):
            return self._log_rejection(self._head.reject(fault))
        delay_s = start_delay_s(message, self.get_clock().now().nanoseconds)
        if reason := self._head.set_trajectory(*from_trajectory(message), delay_s):
            return self._log_rejection(reason)
        self._took += 1
        return self._take_over()

    def _stop(self, reason: str) -> None:
        """Stop for the emergency stop, if the head is not stopped yet."""
        if self._head is not None and self._active and not self._head.latched:
            self.get_logger().error(f'stopped: {reason}')
            self._head.reject(reason)
            self._head.stop()

    def _take_over(self) -> None:
        """Keep later parts of a pose from moving the head against a newer command."""
        if self._active:
            self._pacer.forget()

    def _yield_to_elder(self) -> None:
        """Go to neutral: the commands that moved the head were meant for another one."""
        self._took = 0
        if self._head is not None and self._active:
            self._take_over()
            self._head.relax()

    def _log_rejection(self, reason: str) -> None:
        """Put a rejected command into the log; the head counts it and says so in /diagnostics."""
        self.ledger.add('goals rejected')
        self._refusal = reason
        if isinstance(self._head, RemoteHead) and self._head.is_gone:
            return  # whose end has been said already
        self.get_logger().warning(reason, throttle_duration_sec=5.0)


def make_head(
    node: KfNode, robot: RobotConfig, cycles: CyclePublisher | None
) -> tuple[Head, CyclePublisher | None]:
    """Return the head of a robot, not started, and who publishes its cycles.

    Args:
        node: the servo node.
        robot: its head.
        cycles: of an earlier call, used again.

    Returns:
        A head with a motor process of its own, or with `port: none` a publisher of goals, which
        has no cycles: what is not measured is not published.
    """
    options: dict[str, Any] = {
        'rate_hz': node.setting('rate_hz', float),
        'hold_s': node.setting('hold_s', float),
        'exit_policy': node.setting('exit', str),
        'stamp_clock_ns': lambda: node.get_clock().now().nanoseconds,
    }
    port = node.setting('port', str) or robot.port
    options['stop_record'] = None if port == SIMULATED else StopRecord(robot)
    if port == NONE:
        return GoalPublisher(node, robot, **options), cycles
    head = RemoteHead(robot, port, **options)
    cycles = cycles or CyclePublisher(node, node.ledger)
    head.on_cycle, head.cycles_hz = cycles.take, cycles.wanted_hz
    report = node.create_guard_condition(node.publish_diagnostics)

    def note_change() -> None:
        cycles.forget()
        report.trigger()

    head.on_change = note_change
    return head, cycles


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(ServoNode, args)


if __name__ == '__main__':
    sys.exit(main())
