"""CONTRIBUTING.md: the files it names exist, and the steps it gives are enough."""

import re
import textwrap
from dataclasses import replace
from pathlib import Path

import offline_search
import pytest
import yaml

from kf_imitation.actuators.dynamixel.control_tables import MODELS, MODELS_BY_NUMBER
from kf_imitation.cli import main as cli
from kf_imitation.head.simulator_process import simulated_servos
from kf_imitation.keyframe.selection import selector
from kf_imitation.parameters.modes import MODES
from kf_imitation.paths import share_path
from kf_imitation.robot import parse_robot

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')


def test_every_file_and_folder_it_names_exists():
    named = set(re.findall(r'`([\w./]+/[\w./]*)`', PAGE)) | set(re.findall(r'\]\(([^)]+)\)', PAGE))
    assert len(named) > 30
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ('name', 'file'),
    [
        ('FrameSource', 'kf_imitation/camera/frame_source.py'),
        ('SourceLost', 'kf_imitation/camera/frame_source.py'),
        ('Reconnecting', 'kf_imitation/camera/reconnect.py'),
        ('make_source', 'kf_imitation/camera/sources.py'),
        ('KeyframeDetector', 'kf_imitation/keyframe/selection/selector.py'),
        ('BlinkStrokes', 'kf_imitation/expression/lid_strokes.py'),
        ('ReflexEstimator', 'kf_imitation/expression/reflex_estimator.py'),
        ('CalibrationSession', 'kf_imitation/expression/calibration_session.py'),
        ('calibrate', 'kf_imitation/expression/calibration_fit.py'),
        ('keep_person', 'kf_imitation/pipeline/learned_person.py'),
        ('AutoCalibration', 'kf_imitation/expression/calibration.py'),
        ('JointMapping', 'kf_imitation/robot/joint_mapping.py'),
        ('COMMANDS', 'kf_imitation/cli/main.py'),
        ('MODES', 'kf_imitation/parameters/modes.py'),
        ('rig_of', 'test/support/servo_rig.py'),
        ('start_process', 'test/conftest.py'),
        ('domain', 'test/conftest.py'),
    ],
)
def test_what_it_names_in_a_file_is_defined_there(name, file):
    assert re.search(rf'`{name}(\(\))?`', PAGE)
    text = (ROOT / file).read_text(encoding='utf-8')
    assert re.search(rf'^(class|def) {name}\b|^{name}\b', text, re.MULTILINE)


def test_a_command_is_a_module_and_a_line_in_the_table(tmp_path, monkeypatch, capsys):
    (tmp_path / 'greeting_command.py').write_text(
        textwrap.dedent("""
            def add_arguments(parser):
                parser.add_argument('name')

            def run(args):
                print(f'hello {args.name}')
                return 0
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, 'greet', ('greeting_command', 'say hello'))
    assert cli.main(['greet', 'head']) == 0
    assert capsys.readouterr().out == 'hello head\n'


def test_every_mode_has_a_detector_and_a_slow_search_to_compare_with():
    assert tuple(selector._DETECTORS) == MODES
    assert tuple(offline_search._SEARCHES) == MODES


def test_a_servo_model_is_a_row_in_the_table(monkeypatch):
    model = replace(MODELS['XL330-M288'], name='XL330-M999', number=1999)
    monkeypatch.setitem(MODELS, model.name, model)
    monkeypatch.setitem(MODELS_BY_NUMBER, model.number, model)
    file = share_path('config/robots/xl330_face.yaml')
    document = yaml.safe_load(file.read_text(encoding='utf-8').replace('XL330-M288', 'XL330-M999'))
    robot = parse_robot(document, 'a new servo')
    assert {joint.model for joint in robot.joints} == {'XL330-M999'}
    assert len(simulated_servos(robot)) == len(robot.joints)
