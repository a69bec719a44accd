"""Parameters of a node: what it takes at its start and while it runs."""

import pytest
import rclpy
from rclpy.parameter import Parameter as RosParameter

from kf_imitation.errors import ConfigError
from kf_imitation.nodes.node_base import KfNode


class PlainNode(KfNode):
    """A node that only has parameters."""

    def status(self):
        return b'\0', 'runs', {}


@pytest.fixture
def context(domain):
    context = rclpy.Context()
    rclpy.init(context=context, args=[], domain_id=int(domain))
    yield context
    context.try_shutdown()


def node(context, section, *rules):
    arguments = ['--ros-args', *(word for rule in rules for word in ('-p', rule))]
    return PlainNode(section, context=context, cli_args=arguments, use_global_arguments=False)


def test_names_of_the_last_release_are_taken_at_the_start_and_are_gone_afterwards(context):
    made = node(context, 'landmarks', 'alpha.jaw_open:=0.5', 'filter.cutoff_hz:=2')
    assert made.settings['gain.jaw_open'] == 0.5
    assert made.settings['gain.lip_press'] == 1.0
    assert made.get_parameter('gain.jaw_open').value == 0.5
    assert not made.has_parameter('alpha.jaw_open')
    made.destroy_node()


def test_where_both_names_are_given_the_present_one_counts(context):
    rules = ('detector.travel_quantum:=0.9', 'detector.travel_threshold:=0.7')
    made = node(context, 'keyframe', *rules)
    assert made.settings['detector.travel_threshold'] == 0.7
    made.destroy_node()


def test_a_bad_value_under_a_former_name_is_reported_under_the_present_one(context):
    with pytest.raises(ConfigError, match=r'keyframe\.detector\.travel_threshold = 0\.0 must be'):
        node(context, 'keyframe', 'detector.travel_quantum:=0.0')


def test_a_name_of_the_last_release_can_be_set_while_the_node_runs(context):
    made = node(context, 'keyframe')
    change = RosParameter('detector.travel_quantum', value=0.8)
    assert made.set_parameters_atomically([change]).successful
    assert made.settings['detector.travel_threshold'] == 0.8
    result = made.set_parameters_atomically([RosParameter('detector.travel_quantum', value=0.0)])
    assert not result.successful and 'detector.travel_threshold' in result.reason
    made.destroy_node()
