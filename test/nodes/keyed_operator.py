"""A person's program beside a head: python THIS NODE COMMAND; says in one line what came of it.

COMMAND is `stop` (asks servo/stop), or `move JOINT RAD` (a trajectory of one second).
"""

import sys
from time import monotonic

import rclpy
from builtin_interfaces.msg import Duration
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

PATIENCE_S = 15.0


def spin_until(executor, condition):
    end = monotonic() + PATIENCE_S
    while not condition() and monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    return condition()


def stop(node, executor):
    client = node.create_client(Trigger, '/servo/stop')
    if not spin_until(executor, client.service_is_ready):
        return 'no service'
    answer = client.call_async(Trigger.Request())
    return answer.result().message if spin_until(executor, answer.done) else 'no answer'


def move(node, executor, joint, rad):
    publisher = node.create_publisher(JointTrajectory, '/servo/joint_trajectory', 10)
    if not spin_until(executor, lambda: publisher.get_subscription_count() > 0):
        return 'nobody listens'
    point = JointTrajectoryPoint(positions=[float(rad)], time_from_start=Duration(sec=1))
    for _ in range(5):  # what is sent before the listener knows of it is lost
        publisher.publish(JointTrajectory(joint_names=[joint], points=[point]))
        end = monotonic() + 0.5
        spin_until(executor, lambda end=end: monotonic() > end)
    return 'sent'


if __name__ == '__main__':
    name, command, *values = sys.argv[1:]
    rclpy.init(args=[])
    node = rclpy.create_node(name)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    print({'stop': stop, 'move': move}[command](node, executor, *values), flush=True)
