"""Avatar node: the robot's face drawn as its servos stand, for people without the robot."""

import math
import sys
from collections.abc import Mapping
from typing import Any

from rclpy.subscription import Subscription
from sensor_msgs.msg import Image, JointState

from kf_imitation.data_types import Image as Picture
from kf_imitation.nodes import qos
from kf_imitation.nodes.conversions import from_scalars, to_image, to_ns
from kf_imitation.nodes.node_base import OK, WARN, KfNode
from kf_imitation.nodes.node_main import run_node
from kf_imitation.nodes.polled import Polled, look
from kf_imitation.parameters.definition import Value
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.visualization.avatar import Avatar
from kf_imitation.visualization.face_page import FacePage


class AvatarNode(KfNode):
    """Draws joint_states as a face on avatar/image and on a page for this machine's browsers.

    It draws at rate_hz at most, and neither draws nor listens while nobody watches.
    """

    def __init__(self, overrides: Mapping[str, Value] | None = None, **options: Any) -> None:
        """Read the robot file and open the page.

        Args:
            overrides: parameter values that override parameter files.
            options: for rclpy.node.Node.

        Raises:
            ConfigError: a parameter or the robot file is faulty, or the port is in use.
        """
        super().__init__('avatar', overrides, **options)
        robot = load_robot(self.setting('robot', str))
        mapping = JointMapping(robot)
        self._names = robot.names
        self._avatar = Avatar(mapping.channels, self.setting('size_px', int))
        self._position_rad = mapping.neutral_rad.copy()
        self._stamp_ns = 0
        self._known = False
        self._drawn: Picture | None = None
        self._moved = True  # since it was drawn
        self._polled = Polled()
        port = self.setting('page_port', int)
        self._page = FacePage(port, robot.name) if port else None
        self._pictures = self.create_publisher(Image, 'avatar/image', 2)
        self._joints: Subscription | None = None
        self._timer = self._start_timer()
        if self._page is not None:
            self.get_logger().info(f'the face of {robot.name}: {self._page.url}')

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return whether somebody looks on and whether the servos are heard."""
        if self._joints is None:
            return OK, 'nobody is watching', {}
        if not self._known:
            return WARN, 'no joint_states of this robot: the face stays neutral', {}
        return OK, 'drawing', {'pictures [Hz]': round(self.rate_hz('pictures'), 1)}

    def on_settings(self, changed: Mapping[str, Value]) -> None:
        """Draw at another rate."""
        self.destroy_timer(self._timer)
        self._timer = self._start_timer()

    def close(self) -> None:
        """Close the page."""
        if self._page is not None:
            self._page.close()

    def _start_timer(self) -> Any:
        return self.steady_timer(1 / self.setting('rate_hz', float), self._draw)

    def _draw(self) -> None:
        topic = self._pictures.get_subscription_count()
        page = self._page is not None and self._page.watchers
        if not (topic or page):
            if self._joints is not None:
                self.destroy_subscription(self._joints)
                self._joints = None
            return
        if self._joints is None:
            self._joints = self.create_subscription(
                JointState,
                'joint_states',
                self._on_joints,
                qos.newest(),
                callback_group=self._polled,
            )
        look(self._joints)
        picture = self._drawn
        if picture is None or self._moved:
            with self.ledger.timed('draw'):
                picture = self._drawn = self._avatar.draw(self._position_rad)
            self._moved = False
        self.ledger.add('pictures')
        if topic:
            self._pictures.publish(to_image(picture, self._stamp_ns, 'avatar'))
        if self._page is not None:
            self._page.show(picture)

    def _on_joints(self, message: JointState) -> None:
        angles = from_scalars(message)
        for place, name in enumerate(self._names):
            if name in angles and math.isfinite(angles[name]):
                self._moved |= bool(self._position_rad[place] != angles[name])
                self._position_rad[place] = angles[name]
                self._known = True
        self._stamp_ns = to_ns(message.header.stamp)


def main(args: list[str] | None = None) -> int:
    """Run the node as a process of its own."""
    return run_node(AvatarNode, args)


if __name__ == '__main__':
    sys.exit(main())
