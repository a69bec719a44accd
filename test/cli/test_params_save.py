"""What `kf_imitation params save` keeps, and the file it makes."""

import pytest

from kf_imitation.cli import params as params_cli
from kf_imitation.output_files import OutputError
from kf_imitation.parameters.schema import SCHEMA, load_file
from kf_imitation.ros_graph.nodes import RunOptions, build_graph, merged_parameters


def running():
    graph = build_graph(RunOptions(source='test-pattern', avatar=True))
    values = {node.name: dict(node.parameters) for node in graph.nodes}
    values['keyframe']['detector.prominence'] = 0.25
    values['landmarks']['gain.jaw_open'] = 1.5
    return values


def test_only_what_was_changed_is_kept_and_nothing_of_the_run_alone():
    assert params_cli.worth_keeping(running()) == {
        'keyframe': {'detector.prominence': 0.25},
        'landmarks': {'gain.jaw_open': 1.5},
    }


def test_everything_can_be_kept_but_what_belongs_to_the_run():
    kept = params_cli.worth_keeping(running(), everything=True)
    assert len(kept['servo']) == len(SCHEMA['servo']) - 1  # most_latency_s, of the run
    assert 'source' not in kept['camera'] and 'fps' in kept['camera']


def test_the_file_gives_the_next_run_the_same_values(tmp_path):
    path = tmp_path / 'mine.yaml'
    params_cli.write(path, params_cli.worth_keeping(running()))
    assert load_file(path)['keyframe'] == {'detector.prominence': 0.25}
    values = merged_parameters(str(path))
    assert values['landmarks']['gain.jaw_open'] == 1.5
    assert values['keyframe']['detector.prominence'] == 0.25


def test_a_run_at_its_defaults_gives_a_file_that_can_be_read(tmp_path):
    path = tmp_path / 'mine.yaml'
    params_cli.write(path, {})
    assert load_file(path) == {}


def test_parameters_of_one_run_are_of_the_schema():
    for node, names in params_cli.ONE_RUN.items():
        assert set(names) <= {parameter.name for parameter in SCHEMA[node]}


def test_a_file_that_is_there_is_rejected_before_anything_is_asked(tmp_path):
    from kf_imitation.cli.main import build_parser

    (tmp_path / 'mine.yaml').write_text('mine', encoding='utf-8')
    given = ['params', 'save', '--out', str(tmp_path / 'mine.yaml')]
    with pytest.raises(OutputError, match='exists already'):
        params_cli.run(build_parser('params').parse_args(given))
    assert (tmp_path / 'mine.yaml').read_text(encoding='utf-8') == 'mine'
