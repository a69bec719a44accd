"""One description of a run for launch and command line."""

import pytest

from kf_imitation.errors import ConfigError, MissingPackageError, SourceError
from kf_imitation.output_files import OutputError
from kf_imitation.parameters.schema import SCHEMA
from kf_imitation.ros_graph.nodes import (
    INPUTS,
    PER_FRAME,
    RECORDED,
    RunOptions,
    build_graph,
    ending,
)


def test_the_camera_starts_last_and_waits_for_all_others():
    graph = build_graph(RunOptions(source='test-pattern'))
    names = [node.name for node in graph.nodes]
    assert names == ['keyframe', 'landmarks', 'servo', 'camera']
    assert graph.node('camera').parameters['wait_for'].split() == names[:-1]


def test_every_node_gets_every_parameter_of_the_schema(tmp_path, monkeypatch):
    bag = str(tmp_path / 'bag')
    monkeypatch.setattr('kf_imitation.ros_graph.nodes.check_package', lambda name: None)
    shown = {'avatar': True, 'foxglove': True, 'cockpit': True}
    graph = build_graph(RunOptions(source='test-pattern', record=bag, **shown))
    assert {node.name for node in graph.nodes} == set(SCHEMA) - {'player'}
    for node in graph.nodes:
        assert set(node.parameters) == {parameter.name for parameter in SCHEMA[node.name]}


@pytest.mark.parametrize('options', [{'every_frame': True}, {'realtime': False}])
def test_a_file_of_which_every_frame_is_wanted_is_lossless_on_both_sides(options):
    graph = build_graph(RunOptions(source='test-pattern', **options))
    assert graph.lossless
    assert graph.node('camera').parameters['lossless'] is True
    assert graph.node('keyframe').parameters['lossless'] is True
    for name in ('keyframe', 'landmarks', 'servo'):
        assert graph.node(name).parameters['most_latency_s'] == 0.0


def test_a_file_at_its_own_pace_is_like_a_camera_and_one_bound_holds_for_all_stages():
    graph = build_graph(RunOptions(source='test-pattern'))
    assert not graph.lossless
    assert graph.node('camera').parameters['wait_for'] == 'keyframe landmarks servo'
    keyframe = graph.node('keyframe').parameters
    assert keyframe['lossless'] is False and keyframe['most_latency_s'] == 0.15
    of_keyframes_s = 0.15 + keyframe['detector.commit_delay_s']
    for name in ('landmarks', 'servo'):
        assert graph.node(name).parameters['most_latency_s'] == of_keyframes_s


@pytest.mark.parametrize('source', ['/dev/null', 'rtsp://camera/stream'])  # a device that exists
def test_a_live_source_never_waits(source):
    graph = build_graph(RunOptions(source=source))
    assert not graph.lossless
    assert graph.node('camera').parameters['lossless'] is False
    assert graph.node('camera').parameters['wait_for'] == ''


def test_the_stamps_of_a_file_at_another_pace_make_no_command_old():
    at_its_pace, as_fast_as_can_be = (
        build_graph(RunOptions(source='test-pattern', realtime=realtime)).node('servo').parameters
        for realtime in (True, False)
    )
    assert at_its_pace['command_age_s'] == 1.0
    assert as_fast_as_can_be['command_age_s'] > 60.0


def test_a_camera_that_is_not_there_is_rejected_before_anything_starts():
    with pytest.raises(SourceError, match='camera /dev/video99: does not exist'):
        build_graph(RunOptions(source='/dev/video99'))


def test_a_missing_source_is_rejected_by_name(tmp_path):
    with pytest.raises(SourceError, match='no-such-video'):
        build_graph(RunOptions(source=str(tmp_path / 'no-such-video.mp4')))


def test_options_lie_above_the_file_and_the_file_above_the_defaults(tmp_path):
    params = tmp_path / 'mine.yaml'
    params.write_text(
        'servo: {ros__parameters: {robot: face22, hold_s: 3, port: none}}\n'
        'keyframe: {ros__parameters: {detector.mode: travel}}\n',
        encoding='utf-8',
    )
    graph = build_graph(RunOptions(source='test-pattern', port='/dev/x', params=str(params)))
    servo = graph.node('servo').parameters
    assert (servo['robot'], servo['hold_s'], servo['port']) == ('face22', 3.0, '/dev/x')
    assert type(servo['hold_s']) is float
    assert graph.node('keyframe').parameters['detector.mode'] == 'travel'


def test_a_robot_that_does_not_exist_is_rejected_before_anything_starts():
    with pytest.raises(ConfigError, match='no such robot'):
        build_graph(RunOptions(source='test-pattern', robot='nobody'))


def test_an_existing_record_folder_is_never_overwritten(tmp_path):
    with pytest.raises(OutputError, match='exists already'):
        build_graph(RunOptions(source='test-pattern', record=str(tmp_path)))


def test_a_record_folder_below_a_file_is_rejected(tmp_path):
    (tmp_path / 'file').write_text('', encoding='utf-8')
    with pytest.raises(OutputError, match='is not a folder'):
        build_graph(RunOptions(source='test-pattern', record=str(tmp_path / 'file/bag')))


def test_without_a_source_the_demo_clip_plays(monkeypatch, tmp_path):
    clip = tmp_path / 'demo.mp4'
    clip.write_bytes(b'')
    monkeypatch.setattr('kf_imitation.ros_graph.nodes.DEMO_CLIP', str(clip))
    assert build_graph(RunOptions()).node('camera').parameters['source'] == str(clip)


@pytest.mark.parametrize('loop', [True, False])
def test_a_file_starts_again_if_asked(loop):
    graph = build_graph(RunOptions(source='test-pattern', loop=loop))
    assert graph.node('camera').parameters['loop'] is loop


def test_the_camera_can_wait_for_every_other_node():
    assert set(INPUTS) == set(SCHEMA) - {'camera', 'player', 'avatar', 'foxglove', 'cockpit'}


def test_the_avatar_draws_the_robot_of_the_run_and_nobody_waits_for_it():
    graph = build_graph(RunOptions(source='test-pattern', robot='face22', avatar=True))
    assert graph.node('avatar').parameters['robot'] == 'face22'
    assert 'avatar' not in graph.node('camera').parameters['wait_for'].split()


def test_the_cockpit_shows_the_robot_of_the_run_and_nobody_waits_for_it():
    graph = build_graph(RunOptions(source='test-pattern', robot='face22', cockpit=True))
    assert graph.node('cockpit').parameters['robot'] == 'face22'
    assert 'cockpit' not in graph.node('camera').parameters['wait_for'].split()


def test_results_per_frame_are_recorded():
    assert set(PER_FRAME) <= set(RECORDED)


def test_without_foxglove_nothing_starts_and_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setattr('kf_imitation.errors.find_spec', lambda name: None)
    with pytest.raises(MissingPackageError, match='foxglove-sdk'):
        build_graph(RunOptions(source='test-pattern', foxglove=True))


def test_a_run_goes_on_without_a_node_at_its_side_and_says_which_fault_ended_another():
    assert ending('avatar', 1) == ('avatar has ended: the head goes on', True)
    for code in (0, -2, -15):
        assert ending('servo', code) == ('servo has ended', False)
    with pytest.raises(RuntimeError, match='servo has ended with exit code 2'):
        ending('servo', 2)
