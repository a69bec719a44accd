"""The schema and the files that fill it."""

import re
from pathlib import Path

import pytest
import yaml

from kf_imitation.errors import ConfigError
from kf_imitation.parameters.schema import SCHEMA, Parameter, check, load_file

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / 'config/kf_imitation.yaml'
EVERY = [(node, parameter) for node, table in SCHEMA.items() for parameter in table]


def test_the_shipped_file_has_exactly_the_parameters_of_the_schema_at_their_defaults():
    wanted = {node: {p.name: p.default for p in table} for node, table in SCHEMA.items()}
    assert load_file(SHIPPED) == wanted


def test_the_shipped_file_keeps_whole_numbers_and_floats_apart():
    # rclpy refuses 60 for a parameter declared as 60.0; our own files must not need leniency.
    values = load_file(SHIPPED)
    for node, parameter in EVERY:
        assert type(values[node][parameter.name]) is type(parameter.default), parameter.name


@pytest.mark.parametrize(('node', 'parameter'), EVERY, ids=lambda v: getattr(v, 'name', v))
def test_every_default_keeps_its_own_rule_and_every_parameter_is_described(node, parameter):
    assert parameter.fault(parameter.default) == ''
    assert len(parameter.description) >= 10
    assert re.fullmatch(r'[a-z0-9_]+(\.[a-z0-9_]+)?', parameter.name)


@pytest.mark.parametrize(
    ('value', 'words'),
    [
        ('fast', "rate_hz = 'fast' must be a number"),
        (5, 'rate_hz = 5.0 must be from 10 to 500 Hz'),
        (float('nan'), 'rate_hz = nan must be from 10 to 500 Hz'),
        (True, 'rate_hz = True must be a number'),
    ],
)
def test_a_fault_names_parameter_value_and_rule(value, words):
    rate = Parameter('rate_hz', 100.0, 'bus cycles', 'Hz', 10, 500)
    assert rate.fault(value) == words


def test_a_whole_number_passes_for_a_float_but_not_the_other_way_round():
    assert Parameter('x', 1.0, 'a number').fault(2) == ''
    assert Parameter('x', 1, 'a number').fault(2.0) == 'x = 2.0 must be a whole number'


def test_a_text_outside_the_choice_is_refused_with_the_choice():
    assert check('keyframe', {'detector.mode': 'top'}) == [
        "keyframe.detector.mode = 'top' must be one of peak, settle, travel, combined"
    ]


def test_a_file_reports_all_its_faults_at_once(tmp_path):
    path = tmp_path / 'params.yaml'
    path.write_text(
        yaml.safe_dump(
            {
                '/**/keyframe': {
                    'ros__parameters': {'detector': {'prominence': 2.0}, 'thread': 1}
                },
                'servo': {'ros__parameters': {'rate_hz': 'x'}},
                'mouth': {'ros__parameters': {}},
                'camera': {'source': 'x'},
            }
        ),
        encoding='utf-8',
    )
    with pytest.raises(ConfigError) as caught:
        load_file(path)
    assert len(caught.value.faults) == 5
    assert str(caught.value).startswith(f'{path}: 5 faults\n')


@pytest.mark.parametrize('content', ['[1, 2', '- a\n- b\n', '"text"', ''])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    path = tmp_path / 'params.yaml'
    path.write_text(content, encoding='utf-8')
    with pytest.raises(ConfigError):
        load_file(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r'gone\.yaml.*\n.*cannot be read'):
        load_file(tmp_path / 'gone.yaml')


def test_nested_and_dotted_keys_are_the_same(tmp_path):
    nested, dotted = tmp_path / 'nested.yaml', tmp_path / 'dotted.yaml'
    nested.write_text('keyframe: {ros__parameters: {detector: {mode: settle}}}', encoding='utf-8')
    dotted.write_text('/a/keyframe: {ros__parameters: {detector.mode: settle}}', encoding='utf-8')
    assert load_file(nested) == load_file(dotted) == {'keyframe': {'detector.mode': 'settle'}}
