"""Environment of the ROS middleware, set unless the user has set it."""

import os
from collections.abc import Mapping

from kf_imitation.paths import share_path


def defaults(environment: Mapping[str, str], discovery: bool = True) -> dict[str, str]:
    """Return the variables to add so that images arrive and nothing leaves the machine.

    Args:
        environment: what is set already; it is never overruled.
        discovery: also limit discovery to this machine, so that nobody else on the network can
            move the head.

    Returns:
        FASTDDS_DEFAULT_PROFILES_FILE: a shared-memory segment that holds full-size images
        (other middlewares ignore it), and ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST.
    """
    wanted = {}
    if not {'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'} & set(environment):
        wanted['FASTDDS_DEFAULT_PROFILES_FILE'] = str(share_path('config/fastdds.xml'))
    if discovery and 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in environment:
        wanted['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return wanted


def apply_defaults(discovery: bool = True) -> None:
    """Set them in this process and its children; before rclpy.init."""
    os.environ.update(defaults(os.environ, discovery))
