"""What tests say to a servo node, and what they hear of it."""

import math

from sensor_msgs.msg import JointState


def angle(states, joint):
    """Newest position of a joint in messages of joint_states; nan before the first."""
    return states[-1].position[list(states[-1].name).index(joint)] if states else math.nan


def expression(listener, **channels):
    """A message of face/expression, of now."""
    message = JointState(name=list(channels), position=list(channels.values()))
    message.header.stamp = listener.node.get_clock().now().to_msg()
    return message
