"""What of a bag is replayed by which nodes."""

import numpy as np
import pytest

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.writer import BagWriter
from kf_imitation.data_types import CHANNELS, CameraModel, Expression
from kf_imitation.errors import BagError, ConfigError
from kf_imitation.output_files import OutputError
from kf_imitation.parameters.schema import SCHEMA
from kf_imitation.ros_graph.replay_graph import ReplayOptions, build_replay_graph

S = 1_000_000_000


def make_bag(folder, *parts, namespace=''):
    values = np.zeros(len(CHANNELS), np.float32)
    with BagWriter(folder) as writer:
        out = BagTopics(writer)
        out.score(0.1, S, f'{namespace}/keyframe/score')
        out.joints(f'{namespace}/joint_states', ('jaw',), (0.0,), S)
        if 'expression' in parts:
            out.expression(Expression(S, values, values), None, f'{namespace}/face/expression')
        if 'raw' in parts:
            out.image('/cam/image', np.zeros((4, 4, 3), np.uint8), S)
        if 'info' in parts:
            out.camera_info(CameraModel(4, 4, 5.0), S, '/cam/camera_info')
        if 'compressed' in parts:
            out.jpeg('/eye/image/compressed', np.zeros((8, 8, 3), np.uint8), S)
        if 'own' in parts:
            out.image('/keyframe/image', np.zeros((4, 4, 3), np.uint8), S)
    return str(folder)


def test_images_go_through_every_stage_again(tmp_path):
    bag = make_bag(tmp_path / 'bag', 'raw', 'info', 'expression', 'own')
    graph, command = build_replay_graph(ReplayOptions(bag, rate=0.5, loop=True, robot='face22'))
    assert [node.name for node in graph.nodes] == ['keyframe', 'landmarks', 'servo', 'player']
    player = graph.node('player').parameters
    assert player['topics'] == player['image'] == '/cam/image'
    assert (player['rate'], player['loop'], player['clock_hz']) == (0.5, True, 100.0)
    assert player['lossless'] and graph.node('keyframe').parameters['lossless']
    assert player['wait_for'] == 'keyframe landmarks servo'
    assert graph.node('servo').parameters['robot'] == 'face22'
    assert command == []
    for node in graph.nodes:
        assert set(node.parameters) == {parameter.name for parameter in SCHEMA[node.name]}


def test_a_bag_without_images_moves_the_head_by_its_expressions(tmp_path):
    bag = make_bag(tmp_path / 'bag', 'expression', namespace='/head')
    graph, _ = build_replay_graph(ReplayOptions(bag, record=str(tmp_path / 'again')))
    assert [node.name for node in graph.nodes] == ['servo', 'recorder', 'player']
    player = graph.node('player')
    assert player.parameters['topics'].split() == ['/head/keyframe/score', '/head/face/expression']
    assert dict(player.remappings)['/head/face/expression'] == 'face/expression'
    assert not player.parameters['image'] and not player.parameters['lossless']


def test_the_image_topic_is_chosen_or_must_be_the_only_one(tmp_path):
    bag = make_bag(tmp_path / 'bag', 'raw', 'compressed')
    with pytest.raises(BagError, match=r'name one: /cam/image, /eye/image/compressed'):
        build_replay_graph(ReplayOptions(bag))
    graph, _ = build_replay_graph(ReplayOptions(bag, topic='eye/image/compressed'))
    assert graph.node('player').parameters['image'] == '/eye/image/compressed'


def test_the_player_of_a_ros_installation_gets_the_same_orders(tmp_path):
    bag = make_bag(tmp_path / 'bag', 'raw', 'info')
    options = ReplayOptions(bag, player='ros2bag', namespace='head', start_offset=0, loop=True)
    graph, command = build_replay_graph(options)
    assert [node.name for node in graph.nodes] == ['keyframe', 'landmarks', 'servo']
    assert command[:4] == ['ros2', 'bag', 'play', bag] and '--loop' in command
    assert command[command.index('--topics') + 1 :] == [
        '/cam/image',
        '/cam/camera_info',
        '--remap',
        '/cam/image:=/head/image_raw',
        '/cam/camera_info:=/head/camera_info',
    ]


def test_what_it_cannot_play_is_rejected(tmp_path):
    bag = make_bag(tmp_path / 'bag', 'compressed')
    with pytest.raises(ConfigError, match='player = ours decodes it'):
        build_replay_graph(ReplayOptions(bag, player='ros2bag'))
    with pytest.raises(ConfigError, match="player = 'vlc' must be one of ours, ros2bag"):
        build_replay_graph(ReplayOptions(bag, player='vlc'))


def test_what_moves_no_head_is_rejected(tmp_path):
    bag = make_bag(tmp_path / 'bag')
    with pytest.raises(BagError, match=r'neither images nor face/expression \(has|holds'):
        build_replay_graph(ReplayOptions(bag))
    with pytest.raises(ConfigError, match='must name a bag'):
        build_replay_graph(ReplayOptions(''))
    full = make_bag(tmp_path / 'full', 'expression')
    with pytest.raises(OutputError, match='exists already'):
        build_replay_graph(ReplayOptions(full, record=bag))
    with pytest.raises(BagError, match='start offset 9 s is beyond'):
        build_replay_graph(ReplayOptions(full, start_offset=9))
