"""A button on a topic: pressed, or not heard, it stops the head."""

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import JointState
from servo_talk import angle, expression
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from kf_imitation.robot import load_robot

ROBOT = load_robot('sim_face')


def test_a_pressed_button_and_a_silent_one_stop_the_head_until_a_reset(servo_node, listener, port):
    servo_node(port=port.device, hold_s=3600.0, emergency_stop_s=3.0)
    states = listener.listen(JointState, 'joint_states')
    reports = listener.listen(DiagnosticArray, '/diagnostics')
    faces = listener.node.create_publisher(JointState, 'face/expression', 10)
    button = listener.node.create_publisher(Bool, 'servo/emergency_stop', 1)

    def reset():
        return listener.call(Trigger, '/servo/reset', Trigger.Request())

    def limp():
        return not any(servo.torque for servo in port.line.servos)

    def told(words):
        reports.clear()
        return lambda: any(words in str(report.status[0].values) for report in reports)

    listener.wait_for(lambda: states and button.get_subscription_count())
    assert limp()
    assert 'silent for more than 3 s' in reset().message
    beat = listener.node.create_timer(0.1, lambda: button.publish(Bool(data=False)))
    listener.wait_for(told('not pressed'))
    assert reset().success

    def follows():
        faces.publish(expression(listener, jaw_open=1.0))
        return angle(states, 'jaw') > 0.2

    listener.wait_for(follows)
    beat.cancel()
    listener.wait_for(limp)
    rejected = reset()
    assert not rejected.success and 'silent for more than 3 s' in rejected.message
    beat.reset()
    listener.wait_for(told('not pressed'))
    assert reset().success
    beat.cancel()
    button.publish(Bool(data=True))
    listener.wait_for(limp)
    assert 'pressed' in reset().message
