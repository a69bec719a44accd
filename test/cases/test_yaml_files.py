"""Robot and parameter files as people write them: YAML 1.2, nothing twice, nothing endless."""

import pytest

from kf_imitation.errors import ConfigError
from kf_imitation.parameters.schema import load_file
from kf_imitation.parameters.yaml_text import read_yaml
from kf_imitation.paths import share_path
from kf_imitation.robot import load_robot

TEMPLATE = share_path('config/robots/template.yaml').read_text(encoding='utf-8')
ALIASES = 'a: &a [x, x, x, x, x, x, x, x, x, x]\n' + ''.join(
    f'{b}: &{b} [{", ".join([f"*{a}"] * 10)}]\n'
    for a, b in zip('abcdefgh', 'bcdefghi', strict=True)
)


@pytest.fixture
def robot_file(tmp_path):
    def write(*changes):
        text = TEMPLATE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / 'head.yaml'
        path.write_bytes(text.encode())
        return str(path)

    return write


@pytest.fixture
def document(tmp_path):
    def write(text):
        path = tmp_path / 'some.yaml'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def faults(read, path):
    with pytest.raises(ConfigError) as caught:
        read(path)
    return '\n'.join(caught.value.faults)


SECOND_ID = '    id: 2'


def test_a_key_given_twice_is_rejected_with_both_lines(robot_file):
    lines = TEMPLATE.splitlines()
    first = lines.index('    limits_rad: [-0.6, 0.2]') + 1
    twice = '    limits_rad: [-0.6, 0.2]\n    limits_rad: [-1.2, 1.2]'
    said = faults(load_robot, robot_file(('    limits_rad: [-0.6, 0.2]', twice)))
    assert said == f'limits_rad is given twice, in lines {first} and {first + 1}'


def test_a_key_given_twice_in_one_line_is_rejected_too(document):
    assert 'a is given twice' in faults(read_yaml, document('b: {a: 1, "a": 2}'))


def test_a_number_with_a_leading_zero_is_answered_with_what_to_write(robot_file):
    said = faults(load_robot, robot_file((SECOND_ID, '    id: 012')))
    assert 'octal' in said and 'write 12,' in said


def test_a_hexadecimal_id_and_a_baud_rate_with_an_exponent_are_what_they_mean(robot_file):
    robot = load_robot(robot_file((SECOND_ID, '    id: 0x0A'), ('baud: 1000000', 'baud: 1e6')))
    assert robot.joints[1].id == 10
    assert robot.baud == 1_000_000 and type(robot.baud) is int


def test_a_head_may_be_called_no_and_off_is_a_text(robot_file):
    assert load_robot(robot_file(('name: template', 'name: no'))).name == 'no'
    said = faults(load_robot, robot_file(('exit: neutral_limp', 'exit: off')))
    assert "exit = 'off' must be one of limp" in said


@pytest.mark.parametrize('model', ['XL-330-M288T', 'xl330-m288', 'XL330-M288-T', 'xl330m288'])
def test_a_model_may_be_named_as_its_shop_names_it(robot_file, model):
    robot = load_robot(robot_file(('model: XL330-M288 ', f'model: {model} ')))
    assert robot.joints[0].model == 'XL330-M288'


def test_a_merged_mapping_stays_allowed_and_its_keys_may_be_overridden(robot_file):
    change = (
        '  - name: eyelid_left',
        '  - <<: {max_current_a: 0.3, id: 9}\n    name: eyelid_left',
    )
    robot = load_robot(robot_file(change))
    assert (robot.joints[1].id, robot.joints[1].max_current_a) == (2, 0.3)


@pytest.mark.parametrize(
    ('old', 'new', 'words'),
    [
        ('    id: 2', '\tid: 2', 'indent with spaces'),
        ('    id: 2', '    id: 1', 'is used by joints[0], joints[1]'),
        ('neutral_rad: 0.0', 'neutral_rad: .nan', 'must be a finite number'),
        ('neutral_rad: 0.0', 'neutral_rad: 0,5', 'must be a finite number (write 0.5)'),
        ('neutral_rad: 0.0', "neutral_rad: '0.1'", '(write 0.1 without quotes)'),
        ('limits_rad: [-0.6, 0.2]', 'limits_rad: [0.2, -0.6]', 'must have low < high'),
        ('jaw_open: [[0, 0]', 'jaw_opn: [[0, 0]', 'did you mean jaw_open?'),
        ('model: XL330-M288 ', 'model: XL330-M2888 ', 'did you mean XL330-M288?'),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(robot_file, old, new, words):
    assert words in faults(load_robot, robot_file((old, new)))


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(robot_file, tmp_path):
    path = tmp_path / 'windows.yaml'
    path.write_bytes(b'\xef\xbb\xbf' + TEMPLATE.replace('\n', '\r\n').encode())
    assert load_robot(str(path)).joints == load_robot(robot_file()).joints


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('a: &a [*a]', 'line 1, column 8: *a contains itself'),
        ('a: &a {b: *a}', '*a contains itself'),
        ('[' * 10_000, 'nested more than 50 deep'),
        (ALIASES, 'more than 100000 values'),
        ('a: !!python/object:os.system x', 'could not determine a constructor'),
        ('a: !!timestamp x', 'is not what it says'),
        ('a: !!int x', 'is not what it says'),
        ('a: ' + '1' * 5000, 'is not what it says'),
        ('a: 1\n---\nb: 2', 'found another document'),
        (b'a: \xff\xfe\xfd', 'is not YAML'),
        (b'a: 1\n' * 1_000_000, 'is larger than 4 MB'),
    ],
)
def test_what_would_never_end_or_is_no_plain_document_is_rejected(document, text, words):
    assert words in faults(read_yaml, document(text))


def test_values_are_those_of_yaml_1_2(document):
    text = 'a: [1e6, 0o17, -1e-3, .5, no, off, yes, 1:30, 2026-01-01, ~, true, 0x1f, .inf]'
    assert read_yaml(document(text))['a'] == [
        *(1e6, 15, -0.001, 0.5, 'no', 'off', 'yes', '1:30', '2026-01-01'),
        *(None, True, 31, float('inf')),
    ]


def test_a_parameter_file_with_a_section_twice_is_rejected_with_both_lines(document):
    text = 'servo:\n  ros__parameters: {hold_s: 1.0}\nservo:\n  ros__parameters: {rate_hz: 50.0}\n'
    assert faults(load_file, document(text)) == 'servo is given twice, in lines 1 and 3'


def test_a_parameter_given_nested_and_with_dots_is_rejected(document):
    text = 'keyframe: {ros__parameters: {detector: {mode: peak}, detector.mode: travel}}'
    assert 'detector.mode is given twice' in faults(load_file, document(text))
