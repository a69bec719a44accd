"""The schema and the files that fill it."""

import re
from pathlib import Path

import pytest
import yaml

from kf_imitation.data_types import CHANNELS
from kf_imitation.errors import ConfigError
from kf_imitation.parameters.definition import Parameter, renamed, settings_from
from kf_imitation.parameters.documents import PARAMETER_PAGE, parameter_file, parameter_page
from kf_imitation.parameters.schema import PARAMETER_FILE, SCHEMA, check, load_file
from kf_imitation.parameters.settings import (
    DetectorSettings,
    FaceSettings,
    KeyframeSettings,
    LandmarksSettings,
)

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
    assert parameter.problem(parameter.default) == ''
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
    assert rate.problem(value) == words


def test_a_whole_number_passes_for_a_float_but_not_the_other_way_round():
    assert Parameter('x', 1.0, 'a number').problem(2) == ''
    assert Parameter('x', 1, 'a number').problem(2.0) == 'x = 2.0 must be a whole number (write 2)'


def test_a_text_outside_the_choice_is_rejected_with_the_choice():
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
                'keyfram': {'ros__parameters': {}},
                'camera': {'source': 'x'},
            }
        ),
        encoding='utf-8',
    )
    with pytest.raises(ConfigError) as caught:
        load_file(path)
    assert len(caught.value.faults) == 5
    assert str(caught.value).startswith(f'{path}: 5 problems\n')


@pytest.mark.parametrize('content', ['[1, 2', '- a\n- b\n', '"text"'])
def test_a_file_that_is_no_mapping_is_rejected(tmp_path, content):
    path = tmp_path / 'params.yaml'
    path.write_text(content, encoding='utf-8')
    with pytest.raises(ConfigError):
        load_file(path)


def test_a_missing_file_is_rejected_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r'gone\.yaml.*\n.*cannot be read'):
        load_file(tmp_path / 'gone.yaml')


def test_nested_and_dotted_keys_are_the_same(tmp_path):
    nested, dotted = tmp_path / 'nested.yaml', tmp_path / 'dotted.yaml'
    nested.write_text('keyframe: {ros__parameters: {detector: {mode: settle}}}', encoding='utf-8')
    dotted.write_text('/a/keyframe: {ros__parameters: {detector.mode: settle}}', encoding='utf-8')
    assert load_file(nested) == load_file(dotted, 'a') == {'keyframe': {'detector.mode': 'settle'}}


@pytest.mark.parametrize(
    ('path', 'text'),
    [(PARAMETER_FILE, parameter_file), (PARAMETER_PAGE, parameter_page)],
)
def test_the_generated_texts_are_those_of_the_definitions(path, text):
    # After a change: python -m kf_imitation.parameters
    assert (ROOT / path).read_text(encoding='utf-8') == text()


def test_settings_objects_have_the_values_of_the_parameters_and_defaults_for_the_rest():
    values = {'detector.mode': 'peak', 'face.lost_s': 2.0, 'crop_px': 300}
    settings = settings_from(KeyframeSettings, values)
    assert settings == KeyframeSettings(
        face=FaceSettings(lost_s=2.0), detector=DetectorSettings(mode='peak'), crop_px=300
    )
    gains = settings_from(LandmarksSettings, {'gain.jaw_open': 0.5}).expression.gain
    assert gains == {**dict.fromkeys(CHANNELS, 1.0), 'jaw_open': 0.5}


def test_a_file_of_the_first_release_still_loads_with_one_warning(tmp_path, caplog):
    path = tmp_path / 'mine.yaml'
    former = {'detector.travel_quantum': 0.9, **{f'alpha.{c}': 0.5 for c in CHANNELS}}
    assert set(former) == {p.former_name for _, p in EVERY if p.former_name}
    nodes = {'keyframe': {}, 'landmarks': {}}
    for name, value in former.items():
        nodes['keyframe' if 'travel' in name else 'landmarks'][name] = value
    path.write_text(
        yaml.safe_dump({node: {'ros__parameters': values} for node, values in nodes.items()}),
        encoding='utf-8',
    )
    assert load_file(path) == {
        'keyframe': {'detector.travel_threshold': 0.9},
        'landmarks': {f'gain.{channel}': 0.5 for channel in CHANNELS},
    }
    (record,) = caplog.records
    assert record.levelname == 'WARNING'
    assert 'detector.travel_quantum is now detector.travel_threshold' in record.getMessage()


def test_of_a_former_and_a_present_name_the_present_one_counts():
    values = {'detector.travel_threshold': 0.7, 'detector.travel_quantum': 0.9}
    for given in (values, dict(reversed(values.items()))):
        assert renamed(SCHEMA['keyframe'], given)[0] == {'detector.travel_threshold': 0.7}
