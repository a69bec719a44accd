"""Parameter files as ROS people write them are applied as rcl applies them."""

import pytest

from kf_imitation.errors import ConfigError
from kf_imitation.parameters.schema import load_file
from kf_imitation.ros_graph.nodes import RunOptions, build_graph, merged_parameters

TWO_ROBOTS = """\
/robot1/keyframe:
  ros__parameters: {model: keyframe_lite, threads: 1}
/robot2/keyframe:
  ros__parameters: {threads: 2}
/robot2/servo:
  ros__parameters: {robot: face22}
"""
DUMPED = """\
/keyframe:
  ros__parameters:
    threads: 1
    use_sim_time: true
    start_type_description_service: true
    qos_overrides:
      /parameter_events:
        publisher:
          depth: 1000
"""


@pytest.fixture
def params(tmp_path):
    def write(text):
        path = tmp_path / 'params.yaml'
        path.write_text(text, encoding='utf-8')
        return path

    return write


@pytest.mark.parametrize('text', ['', '# nothing yet\n', 'servo:\n  ros__parameters:\n', '---\n'])
def test_a_file_without_values_changes_nothing(params, text):
    assert merged_parameters(str(params(text))) == merged_parameters()


def test_a_section_for_all_nodes_reaches_those_that_have_the_parameter(params):
    path = params('/**:\n  ros__parameters:\n    threads: 1\n')
    assert load_file(path) == load_file(path, 'a/b') == {
        'keyframe': {'threads': 1},
        'landmarks': {'threads': 1},
    }  # fmt: skip


# By namespace: what rclpy gives a node `keyframe` there.
@pytest.mark.parametrize(
    ('section', 'fits', 'fails'),
    [
        ('/**', ['', 'r', 'r/x'], []),
        ('/*', [''], ['r']),
        ('/*/keyframe', ['r'], ['', 'r/x']),
        ('/**/keyframe', ['', 'r', 'r/x'], []),
        ('keyframe', [''], ['r']),
        ('/r/keyframe', ['r', '/r', '/r/'], ['', 'x', 'r/x']),
        ('r/keyframe', ['r'], ['', 'x']),
        ('/r/*', ['r'], ['', 'x']),
    ],
)
def test_a_section_holds_in_the_namespaces_that_its_name_means(params, section, fits, fails):
    path = params(f'{section}:\n  ros__parameters:\n    lossless: on\n')
    assert all(load_file(path, n).get('keyframe') == {'lossless': True} for n in fits)
    assert not any(load_file(path, namespace).get('keyframe') for namespace in fails)


def test_namespaces_may_be_nested(params):
    path = params('/*:\n  keyframe:\n    ros__parameters:\n      threads: 1\n')
    assert load_file(path, 'robot1') == {'keyframe': {'threads': 1}}


def test_of_several_sections_for_a_node_the_later_one_wins(params):
    one, all_nodes = (
        f'{name}:\n  ros__parameters: {{threads: {value}}}\n'
        for name, value in (('/keyframe', 3), ('/**', 4))
    )
    assert load_file(params(one + all_nodes))['keyframe'] == {'threads': 4}
    assert load_file(params(all_nodes + one))['keyframe'] == {'threads': 3}


def test_of_two_robots_in_one_file_each_gets_its_own_namespace(params):
    path = params(TWO_ROBOTS)
    assert load_file(path, 'robot1') == {'keyframe': {'model': 'keyframe_lite', 'threads': 1}}
    graph = build_graph(RunOptions(params=str(path), namespace='robot1', source='test-pattern'))
    assert graph.node('servo').parameters['robot'] == 'sim_face'
    graph = build_graph(RunOptions(params=str(path), namespace='robot2', source='test-pattern'))
    assert graph.node('servo').parameters['robot'] == 'face22'


def test_a_file_that_reaches_no_node_of_the_run_says_so(params, caplog):
    assert load_file(params(TWO_ROBOTS), 'robot3') == {}
    assert 'no section is for a node in namespace /robot3' in caplog.text


def test_what_ros2_param_dump_writes_is_applied(params):
    values = merged_parameters(str(params(DUMPED)))['keyframe']
    assert values['threads'] == 1 and values['use_sim_time'] is True
    assert values['qos_overrides./parameter_events.publisher.depth'] == 1000


def test_a_node_takes_the_parameters_of_rclpy_from_a_dump(params):
    rclpy = pytest.importorskip('rclpy', reason='needs ROS')
    from kf_imitation.nodes.keyframe_node import KeyframeNode

    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        values = merged_parameters(str(params(DUMPED)))['keyframe']
        node = KeyframeNode(values, context=context)
        try:
            assert node.get_parameter('use_sim_time').value is True
        finally:
            node.close()
            node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


def test_sections_and_parameters_of_other_packages_are_left_out_with_a_word(params, caplog):
    path = params(
        '/usb_cam:\n  ros__parameters: {video_device: /dev/video0}\n'
        '/**:\n  ros__parameters: {frame_rate_of_usb_cam: 30.0, threads: 3}\n'
    )
    assert load_file(path)['keyframe'] == {'threads': 3}
    assert '/usb_cam is none of our nodes' in caplog.text
    assert 'frame_rate_of_usb_cam is a parameter of none of our nodes' in caplog.text


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('/keyfram: {ros__parameters: {threads: 1}}', 'did you mean keyframe?'),
        ('/**: {ros__parameters: {thread: 1}}', 'did you mean threads?'),
        ('keyframe: {ros__parameters: {thread: 1}}', 'did you mean threads?'),
        ('servo: {ros__parameters: {hold_s: "1.5"}}', '(write 1.5 without quotes)'),
        ('camera: {ros__parameters: {source: 0}}', "(write '0', with quotes)"),
        ('camera: {ros__parameters: {width: 640.0}}', '(write 640)'),
        ('servo: {ros__parameters: {robot: ~}}', "(write '' for none)"),
        ('servo: {ros__parameters: {use_sim_time: 1}}', 'must be true or false'),
        ('servo: {ros__parameters: 3}', 'must have a mapping ros__parameters'),
        ('servo: 3', 'servo must have a mapping ros__parameters'),
        ('servo: {hold_s: 1.0}', '/servo must have a mapping ros__parameters'),
        # Faults of a section for another robot are faults of the file.
        ('/other/servo: {ros__parameters: {hold_s: 1e9}}', 'servo.hold_s'),
    ],
)
def test_faults_are_answered_with_what_to_write(params, text, words):
    with pytest.raises(ConfigError) as caught:
        load_file(params(text))
    assert words in str(caught.value)
