"""Between trajectory_msgs/JointTrajectory and the plain trajectories of the servo stage."""

from array import array
from collections.abc import Sequence

from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from kf_imitation.head.gateway_head import PlannedTrajectory
from kf_imitation.motion.waypoints import TrajectoryPoint
from kf_imitation.nodes.conversions import to_ns


def from_trajectory(message: JointTrajectory) -> tuple[list[str], list[TrajectoryPoint]]:
    """Joint names and points; accelerations and effort are not used, the planner has its own."""
    points = [
        TrajectoryPoint(
            point.time_from_start.sec + point.time_from_start.nanosec * 1e-9,
            tuple(point.positions),
            tuple(point.velocities),
        )
        for point in message.points
    ]
    return list(message.joint_names), points


def start_delay_s(message: JointTrajectory, now_ns: int) -> float:
    """Time from now to header.stamp [s], negative in the past; a stamp of 0 means now."""
    stamp_ns = to_ns(message.header.stamp)
    return (stamp_ns - now_ns) * 1e-9 if stamp_ns else 0.0


def to_trajectory(planned: PlannedTrajectory) -> JointTrajectory:
    """Message with stamp 0, which a joint_trajectory_controller starts when it arrives."""
    message = JointTrajectory(joint_names=list(planned.names))
    for time_s, position, velocity in zip(
        planned.times_s, planned.position_rad, planned.velocity_rad_s, strict=True
    ):
        message.points.append(
            JointTrajectoryPoint(
                positions=array('d', position),
                velocities=array('d', velocity),
                time_from_start=_duration(time_s),
            )
        )
    return message


def jog_message(joint: str, position_rad: float, times_s: Sequence[float]) -> JointTrajectory:
    """One joint to one position, reached at the first of the times and held until the last."""
    return JointTrajectory(
        joint_names=[joint],
        points=[
            JointTrajectoryPoint(positions=[position_rad], time_from_start=_duration(time_s))
            for time_s in times_s
        ],
    )


def _duration(time_s: float) -> Duration:
    nanoseconds = round(float(time_s) * 1e9)
    return Duration(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)
