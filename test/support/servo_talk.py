"""What tests say to a servo node, and what they hear of it."""

import math

import numpy as np
from rclpy.duration import Duration
from sensor_msgs.msg import JointState


def angle(states, joint):
    """Newest position of a joint in messages of joint_states; nan before the first."""
    return states[-1].position[list(states[-1].name).index(joint)] if states else math.nan


def shown(robot, joint, channel, value):
    """Angle at which a joint of a robot file shows a channel alone."""
    one = robot.joints[robot.names.index(joint)]
    points = one.curves.get(channel, ((0.0, 0.0), (1.0, one.channels[channel])))
    return one.neutral_rad + float(np.interp(value, *np.transpose(points)))


def expression(listener, age_s=0.0, **channels):
    """A message of face/expression, of now or of a while ago."""
    message = JointState(name=list(channels), position=list(channels.values()))
    age = Duration(nanoseconds=round(age_s * 1e9))
    message.header.stamp = (listener.node.get_clock().now() - age).to_msg()
    return message
