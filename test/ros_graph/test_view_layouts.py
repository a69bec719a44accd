"""Ready-made views: every topic and type that they name is in the node graph."""

import ast
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from kf_imitation.data_types import CHANNELS
from kf_imitation.keyframe.explanation_values import NAMES
from kf_imitation.parameters.schema import SCHEMA
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.nodes import TOPICS

CONFIG = Path(__file__).resolve().parents[2] / 'config'
IMAGE = 'sensor_msgs/msg/Image'
JOINTS = 'sensor_msgs/msg/JointState'
LOG = 'rcl_interfaces/msg/Log'
ROBOT = load_robot('sim_face')
# From robot_state_publisher, which inspect.launch.py starts.
DESCRIPTION = 'robot_description'
# What the names of a JointState may be, by topic.
NAMED = {
    'keyframe/explanation': NAMES,
    'face/expression': CHANNELS,
    'joint_states': ROBOT.names,
    'servo/joint_commands': ROBOT.names,
}
RVIZ_TYPES = {
    'rviz_default_plugins/Image': IMAGE,
    'rviz_default_plugins/MarkerArray': 'visualization_msgs/msg/MarkerArray',
    'rviz_default_plugins/Pose': 'geometry_msgs/msg/PoseStamped',
}


def kind(topic: str) -> str:
    """Return the type of a topic that a view names."""
    known = topic if topic in TOPICS else topic.removeprefix('/')
    assert known in TOPICS, f'{topic} is not published by any node'
    return TOPICS[known]


def value_type(topic: str, fields: list[str]) -> str:
    """Return the type of the number that a plot shows; JointState is by name."""
    if kind(topic) == 'std_msgs/msg/Float32':
        assert fields == ['data']
    else:
        assert kind(topic) == JOINTS
        name, field = fields
        assert field in ('position', 'velocity', 'effort')
        assert name in NAMED[topic.removeprefix('/')], f'{topic} has no {name}'
    return 'number'


def split_curve(curve: str) -> tuple[str, list[str]]:
    """Split a PlotJuggler or rqt_plot name into topic and fields."""
    parts = curve.strip('/').split('/')
    for end in range(len(parts) - 1, 0, -1):
        if (topic := '/'.join(parts[:end])) in TOPICS:
            return topic, parts[end:]
    raise AssertionError(f'{curve} does not belong to a topic')


def test_rviz_shows_topics_of_the_graph_with_displays_of_their_type():
    layout = yaml.safe_load((CONFIG / 'mimic.rviz').read_text(encoding='utf-8'))
    shown = set()
    for display in layout['Visualization Manager']['Displays']:
        if 'Topic' in display:
            topic = display['Topic']['Value']
            assert kind(topic) == RVIZ_TYPES[display['Class']], display['Name']
            shown.add(topic)
        if 'Description Topic' in display:
            assert display['Description Topic']['Value'] == DESCRIPTION
    assert {'keyframe/image', 'keyframe/annotated', 'face/markers', 'avatar/image'} <= shown


def perspective():
    text = (CONFIG / 'mimic.perspective').read_text(encoding='utf-8')
    manager = json.loads(text)['groups']['pluginmanager']

    def value(entry):
        assert entry['type'] == 'repr'
        return ast.literal_eval(entry['repr'])

    running = value(manager['keys']['running-plugins'])
    groups = {
        name: {key: value(entry) for key, entry in group['groups']['plugin']['keys'].items()}
        for name, group in manager['groups'].items()
    }
    return running, groups


def test_every_plugin_of_the_rqt_perspective_has_its_settings_and_runs():
    running, groups = perspective()
    instances = {
        f'plugin__{name.replace("/", "__")}__{number}'
        for name, numbers in running.items()
        for number in numbers
    }
    assert instances == set(groups)


def test_rqt_shows_topics_of_the_graph_and_nodes_with_live_parameters():
    _, groups = perspective()
    for name, keys in groups.items():
        if 'ImageView' in name:
            assert kind(keys['topic']) == IMAGE
        if 'Plot' in name:
            assert keys['topics']
            for curve in keys['topics']:
                value_type(*split_curve(curve))
        if 'Param' in name:
            nodes = [node.removeprefix('/') for node in keys['selected_nodes']]
            assert all(any(p.live for p in SCHEMA[node]) for node in nodes)


def test_plotjuggler_plots_numbers_of_the_graph_and_subscribes_to_their_topics():
    root = ET.parse(CONFIG / 'plotjuggler.xml').getroot()
    curves = [curve.get('name') for curve in root.iter('curve')]
    assert len(curves) > 20
    topics = set()
    for curve in curves:
        topic, fields = split_curve(curve)
        value_type(topic, fields)
        topics.add(f'/{topic}')
    plugin = root.find("Plugins/plugin[@ID='ROS2 Topic Subscriber']")
    assert set(plugin.find('selected_topics').get('value').split(';')) == topics
    for splitter in root.iter('DockSplitter'):
        assert int(splitter.get('count')) == len(splitter)


def foxglove():
    return json.loads((CONFIG / 'foxglove.json').read_text(encoding='utf-8'))


def test_every_panel_of_the_foxglove_layout_is_placed_once():
    layout = foxglove()

    def leaves(tree):
        if isinstance(tree, str):
            return [tree]
        assert tree['direction'] in ('row', 'column')
        return leaves(tree['first']) + leaves(tree['second'])

    assert sorted(leaves(layout['layout'])) == sorted(layout['configById'])


@pytest.mark.parametrize('panel', sorted(foxglove()['configById']))
def test_foxglove_panels_show_topics_of_the_graph(panel):
    config = foxglove()['configById'][panel]
    if panel.startswith('Image!'):
        assert kind(config['imageMode']['imageTopic']) == IMAGE
        for topic in config['imageMode'].get('annotations', ()):
            assert kind(topic) == 'geometry_msgs/msg/PolygonStamped'
    for path in config.get('paths', ()):
        topic, index = re.fullmatch(r'(/[a-z_/]+)\.position\[(\d+)\]', path['value']).groups()
        assert kind(topic) == JOINTS
        names = NAMED[topic.removeprefix('/')]
        assert int(index) < len(names)
        of_a_robot = topic in ('/joint_states', '/servo/joint_commands')  # others have others
        assert of_a_robot or path['label'] == names[int(index)]
    for topic in config.get('topics', ()):
        kind(topic)
    for layer in config.get('layers', {}).values():
        assert layer['topic'] == f'/{DESCRIPTION}'
    if 'topicToRender' in config:
        shown = {'DiagnosticSummary': 'diagnostic_msgs/msg/DiagnosticArray', 'RosOut': LOG}
        assert kind(config['topicToRender']) == shown[panel.partition('!')[0]]
