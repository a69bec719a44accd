"""From the parameters of the servo node to the head it moves."""

from typing import Any

from kf_imitation.nodes.cycle_publisher import CyclePublisher
from kf_imitation.nodes.goal_publisher import GoalPublisher
from kf_imitation.nodes.node_base import KfNode
from kf_imitation.robot_config import RobotConfig
from kf_imitation.run_report import BusFigures
from kf_imitation.servo.controller import ServoController
from kf_imitation.servo.head import Head
from kf_imitation.servo.open_bus import NONE, open_bus


def make_head(
    node: KfNode, robot: RobotConfig, cycles: CyclePublisher | None
) -> tuple[Head, CyclePublisher | None]:
    """Return the head of a robot, not started, and who publishes its cycles.

    Args:
        node: the servo node.
        robot: its head.
        cycles: of an earlier call, used again.

    Returns:
        A controller on the robot's bus, or with `port: none` a publisher of goals, which has no
        cycles: what is not measured is not published.
    """
    options: dict[str, Any] = {
        'rate_hz': node.setting('rate_hz', float),
        'hold_s': node.setting('hold_s', float),
        'exit_policy': node.setting('exit', str),
    }
    port = node.setting('port', str) or robot.port
    if port == NONE:
        return GoalPublisher(node, robot, **options), cycles
    controller = ServoController(robot, open_bus(robot, port), **options)
    cycles = cycles or CyclePublisher(node, node.ledger)
    controller.on_cycle = cycles.take
    return controller, cycles


def bus_figures(head: Head | None) -> BusFigures | None:
    """Return the bus's figures for the table at the end; None without a bus."""
    if not isinstance(head, ServoController):
        return None
    s = head.statistics()
    return BusFigures(s.rate_hz, s.jitter_p99_ms, s.overruns, s.errors)
