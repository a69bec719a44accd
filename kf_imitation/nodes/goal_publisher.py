"""`port: none`: goals as JointTrajectory for a head that ros2_control drives."""

from typing import Any

from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from kf_imitation.head.gateway_head import GatewayHead
from kf_imitation.head.reports import WARN, ServoStatus
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import from_scalars
from kf_imitation.nodes.node_base import KfNode
from kf_imitation.nodes.trajectory_messages import to_trajectory
from kf_imitation.robot import RobotConfig

# Where a ros2_control joint_trajectory_controller of the usual name listens; remap it for others.
TOPIC = 'joint_trajectory_controller/joint_trajectory'
TICK_S = 0.05


class GoalPublisher(GatewayHead):
    """Publishes what it plans and listens to joint_states, which it never publishes itself."""

    def __init__(self, node: KfNode, robot: RobotConfig, **options: Any) -> None:
        """Prepare; options as of GatewayHead."""
        super().__init__(robot, **options)
        self._node = node
        self._publisher = node.create_publisher(JointTrajectory, TOPIC, qos.keyframe_topics())
        self._timer: Any = None
        self._states: Any = None
        self.on_trajectory = lambda planned: self._publisher.publish(to_trajectory(planned))

    def start(self) -> None:
        """Listen for the pose of the head and begin."""
        super().start()
        self._states = self._node.create_subscription(
            JointState,
            'joint_states',
            lambda message: self.measured(from_scalars(message)),
            qos.joint_topics(),
        )
        self._timer = self._node.steady_timer(TICK_S, self.tick)

    def rest(self) -> str:
        """Lead the head to rest; may be called twice."""
        problem = super().rest()
        if self._timer is not None:
            self._timer.cancel()
            self._node.destroy_later(self._timer, self._states)
            self._timer = self._states = None
        return problem

    def status(self) -> ServoStatus:
        """Return the state in a sentence; nobody listening is worth one."""
        status = super().status()
        if self._active and not self._publisher.get_subscription_count():
            sentence = f'{status.sentence}; no subscriber on {self._publisher.topic_name}'
            return ServoStatus(max(WARN, status.level), sentence, status.values)
        return status
