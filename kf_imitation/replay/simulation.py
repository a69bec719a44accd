"""All stages over a source on virtual time, without ROS, packets and waiting.

The stages are those of the nodes, the head is the live controller with simulated servos; time is
the frames' own. Everything happens at the virtual time at which it would be known: a keyframe's
expression reaches the servos at its commitment, never earlier. (What inference takes on a machine
comes on top of that live; it is not simulated.) The same source, parameters and thread count give
the same results to the bit.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.camera.frame_source import FrameSource
from kf_imitation.camera.stamps import GAP_S
from kf_imitation.data_types import CameraModel, Expression, Frame, FrameScore
from kf_imitation.errors import SourceError
from kf_imitation.expression.keyframe_guide import KeyframeGuide
from kf_imitation.expression.reflex_estimator import ReflexEstimator
from kf_imitation.head.controller import ServoController
from kf_imitation.head.pose_pacer import PoseBudget, PosePacer
from kf_imitation.head.reports import ServoCycle
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.keyframe.explanation import Explanation
from kf_imitation.pipeline.face_pipeline import (
    ChosenFrame,
    ExpressionPipeline,
    FacePipeline,
    FaceStep,
    build_expression_pipeline,
    build_face_pipeline,
)
from kf_imitation.pipeline.statistics import Ledger
from kf_imitation.replay.record import JointTrace, PosedKeyframe, RadArray, RunRecord
from kf_imitation.robot import RobotConfig, load_robot
from kf_imitation.robot.joint_mapping import JointMapping

# The head goes on for so long after the last frame, so that the last move is seen to its end.
TAIL_S = 1.0


# From relaxing to rest.
SETTLED_S = 5.0

# Scoring lets Python's lock go often, and must not wait for long to have it back.
SWITCH_INTERVAL_S = 0.0005
_Step: TypeAlias = tuple[Frame, FaceStep]


class VirtualHead:
    """Runs the servo controller's cycles when its caller lets time pass.

    The first cycle is at the start, the others follow at the servo rate. Without a goal and
    without a face for the hold time it relaxes to neutral, like the servo node.

    Args:
        robot: the head.
        rate_hz: cycles per second.
        hold_s: time without goal and face after which it relaxes.
        budget: merges poses that the joints cannot reach; None sends every pose at once.

    Attributes:
        on_cycle: called with each cycle.
        rejected: goals that the controller rejected, each with its reason.
    """

    def __init__(
        self,
        robot: RobotConfig,
        rate_hz: float,
        hold_s: float,
        budget: PoseBudget | None = None,
    ) -> None:
        self.on_cycle: Callable[[ServoCycle], None] | None = None
        self.rejected: list[str] = []
        self._now_s = 0.0
        self._period_ns = 1e9 / rate_hz
        self._controller = ServoController(
            robot,
            InProcessBus(simulated_servos(robot)),
            rate_hz,
            clock=lambda: self._now_s,
            hold_s=hold_s,
            pause=lambda _: None,
            stamp_clock_ns=None,
        )
        self._reflex_joints = robot.reflex_joints
        self._pacer = None if budget is None else PosePacer(self._controller, budget)
        self._start_ns: int | None = None
        self._hold_s = hold_s
        self._jumped_ns = 0
        self._cycles: list[ServoCycle] = []

    def start(self, stamp_ns: int) -> None:
        """Take torque at a stamp; the head is in neutral.

        Raises:
            BusError: the robot file does not fit the simulated servos.
        """
        self._start_ns = stamp_ns
        self._controller.start(threaded=False)

    def set_goal(self, goal_rad: RadArray, stamp_ns: int, expression_ns: int) -> None:
        """Give a goal; the next cycle after `stamp_ns` takes it.

        Args:
            goal_rad: (J,).
            stamp_ns: now.
            expression_ns: when the person looked so; must grow.
        """
        self._let_pass(stamp_ns)
        if self._pacer is None:
            reason = self._controller.set_goal(goal_rad, expression_ns)
        else:
            reason = self._pacer.show(goal_rad, expression_ns, self._now_s, stamp_ns)
        if reason:
            self.rejected.append(reason)

    def set_reflex(self, goal_rad: RadArray, stamp_ns: int) -> None:
        """Give the reflex joints of a goal (J,) at once."""
        self._let_pass(stamp_ns)
        joints = self._reflex_joints
        if joints.size and (
            reason := self._controller.set_reflex(joints, goal_rad[joints], stamp_ns)
        ):
            self.rejected.append(reason)

    def see_face(self, stamp_ns: int) -> None:
        """Keep the pose alive: the person is there, even while no keyframe comes."""
        self._let_pass(stamp_ns)
        self._controller.keep_alive()

    def advance(self, until_ns: int) -> None:
        """Run all cycles that are due up to and including a stamp.

        A pause is jumped over once the head had the time to relax and come to rest.
        """
        assert self._start_ns is not None, 'start() comes first'
        awake_ns = self._due_ns() + round((self._hold_s + SETTLED_S) * 1e9)
        if until_ns - awake_ns > GAP_S * 1e9:
            self.advance(awake_ns)
            self._jumped_ns += until_ns - self._due_ns()
        while (due_ns := self._due_ns()) <= until_ns:
            self._set_clock(due_ns)
            if self._pacer is not None:
                self._pacer.tick(self._now_s)
            cycle = replace(self._controller.step(self._now_s), stamp_ns=due_ns)
            self._cycles.append(cycle)
            if self.on_cycle is not None:
                self.on_cycle(cycle)

    def _let_pass(self, stamp_ns: int) -> None:
        """Run the cycles up to a stamp; it is now."""
        self.advance(stamp_ns)
        self._set_clock(stamp_ns)

    def trace(self) -> JointTrace:
        """Return all cycles so far."""
        names = self._controller.robot.names
        shape = len(self._cycles), len(names)
        return JointTrace(
            names,
            np.array([c.stamp_ns for c in self._cycles], np.int64),
            np.array([c.goal_rad for c in self._cycles]).reshape(shape),
            np.array([c.commanded_rad for c in self._cycles]).reshape(shape),
            np.array([c.present_rad for c in self._cycles]).reshape(shape),
        )

    def _due_ns(self) -> int:
        # Counted from the start, so that rounding does not add up.
        since_ns = round(len(self._cycles) * self._period_ns)
        return (self._start_ns or 0) + self._jumped_ns + since_ns

    def _set_clock(self, stamp_ns: int) -> None:
        # Relative, because a float holds no wall clock to the nanosecond.
        self._now_s = (stamp_ns - (self._start_ns or 0) - self._jumped_ns) * 1e-9


@dataclass(frozen=True, slots=True)
class Stages:
    """What a replay is made of.

    Attributes:
        face: frames to keyframes.
        expression: keyframes to channels.
        goals: channels to joint goals.
        head: simulated servos on virtual time.
        ledger: measures the stages.
        reflexes: frames to the channels of the reflex lane; None without it.
    """

    face: FacePipeline
    expression: ExpressionPipeline
    goals: Callable[[Expression], RadArray]
    head: VirtualHead
    ledger: Ledger
    reflexes: ReflexEstimator | None = None


class Listener(Protocol):
    """Follows a replay in the order of virtual time."""

    def on_step(self, frame: Frame, step: FaceStep) -> None:
        """Take what one frame brought; its keyframes follow in on_posed."""

    def on_posed(
        self, posed: PosedKeyframe, camera: CameraModel, explanation: Explanation | None
    ) -> None:
        """Take a keyframe with its expression and why it was chosen, at its commitment."""

    def on_reflex(self, reflex: Expression) -> None:
        """Take what a frame said to the reflex lane."""

    def on_cycle(self, cycle: ServoCycle) -> None:
        """Take one cycle of the servo controller."""


def replay(
    source: FrameSource,
    stages: Stages,
    mode: str,
    listener: Listener | None = None,
    on_frame: Callable[[], None] = lambda: None,
    ahead: int = 0,
) -> RunRecord:
    """Run the stages over a source.

    Args:
        source: open; read to its end.
        stages: fresh.
        mode: of the detector, for the record.
        listener: follows the run.
        on_frame: called after each frame, for progress.
        ahead: so many frames may be scored before the head moves to them, which it does in a
            thread of its own; 0 does one thing after the other. The results are the same.

    Returns:
        All results.

    Raises:
        SourceError: the source broke, or held no frame.
    """
    head, guide = stages.head, KeyframeGuide()
    scores: list[FrameScore] = []
    raw: list[FrameScore] = []
    posed: list[PosedKeyframe] = []
    reflexes: list[Expression] = []
    head.on_cycle = listener.on_cycle if listener else None

    def follow(frame: Frame, step: FaceStep) -> None:
        if not raw:
            head.start(frame.stamp_ns)
        # Cycles up to the frame know nothing of it.
        head.advance(frame.stamp_ns)
        if step.region is not None:
            head.see_face(frame.stamp_ns)
        scores.extend(step.scores)
        if listener:
            listener.on_step(frame, step)
        for chosen in step.chosen:
            result = _pose(chosen, stages, source.camera)
            posed.append(result)
            guide.on_keyframe(result.expression)
            head.set_goal(result.goal_rad, frame.stamp_ns, chosen.keyframe.stamp_ns)
            if listener:
                listener.on_posed(result, source.camera, stages.face.explain(chosen))
        if step.raw is None:
            return  # what the end made final
        raw.append(step.raw)
        if stages.reflexes is not None:
            with stages.ledger.timed('reflex'):
                reflex = stages.reflexes.update(step.raw)
            if reflex is not None:
                reflexes.append(reflex)
                head.set_reflex(stages.goals(guide.on_frame(reflex)), frame.stamp_ns)
                if listener:
                    listener.on_reflex(reflex)
        on_frame()

    steps = _steps(source, stages)
    if ahead:
        _follow_behind(steps, follow, ahead)
    else:
        for frame, step in steps:
            follow(frame, step)
    if not raw:
        raise SourceError(f'{source.name}: holds no frame')
    head.advance(raw[-1].stamp_ns + round(TAIL_S * 1e9))
    return RunRecord(source.name, source.fps, mode, scores, posed, head.trace(), raw, reflexes)


def _steps(source: FrameSource, stages: Stages) -> Iterator[_Step]:
    """Read and score all frames; then, with the last one again, what the end makes final."""
    last: Frame | None = None
    while True:
        with stages.ledger.timed('camera read'):
            frame = source.read()
        if frame is None:
            break
        if last is not None and frame.stamp_ns <= last.stamp_ns:
            raise SourceError(
                f'{source.name}: frame {frame.index} is not later than the one before it'
            )
        yield frame, stages.face.push(frame)
        last = frame
    if last is not None:
        yield last, stages.face.flush()


def _follow_behind(
    steps: Iterator[_Step], follow: Callable[[Frame, FaceStep], None], most: int
) -> None:
    """Follow in a thread of its own, at most so many steps behind."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        with ThreadPoolExecutor(1) as thread:
            waiting: deque[Future[None]] = deque()
            for frame, step in steps:
                waiting.append(thread.submit(follow, frame, step))
                if len(waiting) > most:
                    waiting.popleft().result()
            for followed in waiting:
                followed.result()
    finally:
        sys.setswitchinterval(interval_s)


def build_stages(values: dict[str, dict[str, Any]], robot_name: str) -> Stages:
    """Build fresh stages from the parameters of all nodes.

    Raises:
        ConfigError: the robot file or the calibration is faulty.
        ModelError: a model is missing or altered.
    """
    ledger = Ledger()
    robot = load_robot(robot_name)
    mapping = JointMapping(robot)
    servo = values['servo']
    return Stages(
        build_face_pipeline(values['keyframe'], ledger),
        build_expression_pipeline(values['landmarks'], ledger),
        mapping.goals,
        VirtualHead(
            robot,
            servo['rate_hz'],
            servo['hold_s'],
            PoseBudget(robot, servo['pose_patience_s']),
        ),
        ledger,
        ReflexEstimator(values['landmarks']['learn_neutral']) if servo['reflex'] else None,
    )


def _pose(chosen: ChosenFrame, stages: Stages, camera: CameraModel) -> PosedKeyframe:
    reading = stages.expression.run(chosen.face, camera)
    with stages.ledger.timed('mapping'):
        goal_rad = stages.goals(reading.expression)
    return PosedKeyframe(
        chosen.keyframe,
        chosen.face,
        reading.landmarks,
        reading.pose,
        reading.expression,
        goal_rad,
        chosen.change,
    )
