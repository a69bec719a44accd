"""Replay with small stages put in: order of virtual time, tables, bag, refusals."""

import argparse
import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from kf_imitation.camera.left_out import LeftOut
from kf_imitation.cli import replay as command
from kf_imitation.data_types import (
    CHANNELS,
    CameraModel,
    Expression,
    FaceImage,
    FaceRegion,
    Frame,
    FrameScore,
    HeadPose,
    Keyframe,
    Landmarks,
)
from kf_imitation.errors import BagError, SourceError
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.output_files import RECORD
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.pipeline.face_pipeline import ChosenFrame, FaceReading, FaceStep
from kf_imitation.pipeline.statistics import Ledger
from kf_imitation.replay import run as module
from kf_imitation.replay.csv_writer import fixed, seconds, write_scores
from kf_imitation.replay.simulation import Stages, VirtualHead
from kf_imitation.replay.summary_figure import choose_shown, follows_after_s, joint_groups
from kf_imitation.robot import load_robot
from kf_imitation.robot.joint_mapping import JointMapping

FRAME_NS = 40_000_000
DELAY = 3


class Frames:
    """A source of grey pictures."""

    name, is_live, fps, camera = 'frames', False, 25.0, CameraModel(64, 48, 60.0)

    def __init__(self, count, stamps=None):
        self.frame_count = count
        self.left_out = LeftOut('frames')
        self.stamps = stamps or [i * FRAME_NS for i in range(count)]
        self.next = 0

    def open(self):
        self.next = 0

    def read(self):
        if self.next >= self.frame_count:
            return None
        self.next += 1
        picture = np.full((48, 64, 3), self.next, np.uint8)
        return Frame(self.next - 1, self.stamps[self.next - 1], picture)

    def close(self):
        pass


class Face:
    """Every fifth frame is a keyframe, known three frames later."""

    settings = DetectorSettings()
    smoothing = Smoothing()

    def __init__(self):
        self.waiting = []

    def push(self, frame):
        region = FaceRegion(10, 5, 30)
        scores = ()
        scores = (
            FrameScore(frame.index, frame.stamp_ns, 0.25 if frame.index else None, 0, region),
        )
        if frame.index % 5 == 0:
            self.waiting.append(frame)
        chosen = [f for f in self.waiting if frame.index - f.index >= DELAY]
        self.waiting = [f for f in self.waiting if f not in chosen]
        self.last = frame
        return FaceStep(region, '', scores, tuple(self.choose(f) for f in chosen), scores[0])

    def flush(self):
        rest, self.waiting = self.waiting, []
        return FaceStep(None, '', (), tuple(self.choose(f) for f in rest))

    def explain(self, chosen):
        return None

    def choose(self, frame):
        now = self.last.stamp_ns if hasattr(self, 'last') else frame.stamp_ns
        now = max(now, frame.stamp_ns + DELAY * FRAME_NS) if self.waiting else now
        keyframe = Keyframe(frame.index, frame.stamp_ns, 0.25, 0.2, 0.1, now, 'peak')
        return ChosenFrame(keyframe, FaceImage(frame.stamp_ns, frame.bgr, 10, 5, 30, 30))


class Opening:
    """The jaw opens with each keyframe."""

    def run(self, face, camera):
        values = np.zeros(len(CHANNELS), np.float32)
        values[0] = min(1.0, face.stamp_ns / 1e9)
        stamp = face.stamp_ns
        return FaceReading(
            Landmarks(stamp, np.zeros((98, 2), np.float32), np.ones(98, np.float32)),
            HeadPose(stamp, np.eye(3, dtype=np.float32), np.zeros(3, np.float32), 0, 0, 0, 0),
            Expression(stamp, values, np.ones(len(CHANNELS), np.float32)),
        )


def stages():
    robot = load_robot('sim_face')
    return Stages(
        Face(), Opening(), JointMapping(robot).goals, VirtualHead(robot, 100.0, 1.0), Ledger()
    )


class Log:
    def __init__(self):
        self.events = []

    def on_step(self, frame, step):
        self.events.append((frame.stamp_ns, 'step'))

    def on_posed(self, posed, camera, explanation):
        self.events.append((posed.keyframe.committed_stamp_ns, 'posed'))

    def on_cycle(self, cycle):
        self.events.append((cycle.stamp_ns, 'cycle'))


def test_everything_is_reported_in_the_order_of_virtual_time():
    log = Log()
    module.replay(Frames(23), stages(), 'peak', log)
    assert [stamp for stamp, _ in log.events] == sorted(stamp for stamp, _ in log.events)
    assert {kind for _, kind in log.events} == {'step', 'posed', 'cycle'}


def test_a_head_that_follows_in_a_thread_of_its_own_does_the_same():
    one, other = Log(), Log()
    module.replay(Frames(23), stages(), 'peak', one)
    module.replay(Frames(23), stages(), 'peak', other, ahead=3)
    assert other.events == one.events


def test_what_goes_wrong_while_the_head_follows_ends_the_replay():
    def fail():
        raise BagError('the disk is full')

    with pytest.raises(BagError, match='full'):
        module.replay(Frames(23), stages(), 'peak', on_frame=fail, ahead=3)


def test_an_expression_reaches_the_servos_at_its_commitment_and_not_before():
    record = module.replay(Frames(23), stages(), 'peak')
    second = record.posed[1]
    assert second.keyframe.index == 5
    change = np.flatnonzero(np.diff(record.joints.goal_rad[:, 0]))[0] + 1
    assert record.joints.stamp_ns[change] > second.keyframe.committed_stamp_ns
    assert record.joints.stamp_ns[change - 1] <= second.keyframe.committed_stamp_ns


def test_every_frame_is_scored_once_and_the_last_keyframe_is_kept():
    record = module.replay(Frames(22), stages(), 'peak')
    assert [s.index for s in record.scores] == list(range(22))
    assert [p.keyframe.index for p in record.posed] == [0, 5, 10, 15, 20]


def test_a_source_without_frames_or_with_time_running_back_is_rejected():
    with pytest.raises(SourceError, match='no frame'):
        module.replay(Frames(0), stages(), 'peak')
    with pytest.raises(SourceError, match='not later'):
        module.replay(Frames(2, [5, 5]), stages(), 'peak')


def arguments(*given):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(g) for g in given])


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, 'build_stages', lambda values, robot: stages())
    monkeypatch.setattr(module, 'open_file', lambda spec, settings: Frames(23))


@pytest.mark.parametrize(('options', 'code'), [((), 0), (('--strict',), 2)])
def test_frames_left_out_are_reported_and_with_strict_they_are_exit_code_2(
    tmp_path, small, monkeypatch, capsys, caplog, options, code
):
    source = Frames(23)
    source.left_out.add('frame 3', 'is empty')
    monkeypatch.setattr(module, 'open_file', lambda spec, settings: source)
    out = tmp_path / 'out'
    assert command.run(arguments('x.mp4', '--out', out, *options)) == code
    assert (out / 'scores.csv').is_file()  # the results stay
    assert '1 of 24 frames are left out; first frame 3: is empty' in caplog.text
    assert 'left out' in capsys.readouterr().out


class NoFace(Face):
    """An empty room."""

    def push(self, frame):
        score = FrameScore(frame.index, frame.stamp_ns, None)
        return FaceStep(None, '', (score,), (), score)


@pytest.mark.parametrize(('options', 'code'), [((), 0), (('--strict',), 2)])
def test_a_run_without_a_face_says_so_and_what_to_try(
    tmp_path, small, monkeypatch, caplog, options, code
):
    """It ended without a word."""
    empty = replace(stages(), face=NoFace())
    monkeypatch.setattr(module, 'build_stages', lambda values, robot: empty)
    out, figures = tmp_path / 'out', tmp_path / 'figures.json'
    words = ('x.mp4', '--out', out, '--json', figures, *options)
    assert command.run(arguments(*words)) == code
    assert (out / 'scores.csv').is_file()  # the results stay
    (said,) = [r.getMessage() for r in caplog.records if 'no face' in r.getMessage()]
    assert said.startswith('frames: no face was seen in 23 frames; ')
    assert '--rotate 90, 180 or 270' in said and 'light' in said and '60 px or more' in said
    assert json.loads(figures.read_text())['faces'] == 0


def test_a_run_with_faces_says_nothing_of_the_kind(tmp_path, small, caplog):
    figures = tmp_path / 'figures.json'
    words = ('x.mp4', '--out', tmp_path / 'out', '--json', figures, '--strict')
    assert command.run(arguments(*words)) == 0
    assert 'no face' not in caplog.text
    assert json.loads(figures.read_text())['faces'] == 23


def test_a_run_writes_all_results(tmp_path, small, capsys):
    video = tmp_path / 'side.mp4'
    code = command.run(
        arguments('x.mp4', '--out', tmp_path / 'out', '--video', video, '--summary')
    )
    assert code == 0
    names = {p.name for p in (tmp_path / 'out').iterdir()}
    tables = {'scores.csv', 'expression.csv', 'shapes.csv', 'reflex.csv', 'joints.csv'}
    assert names == tables | {
        *('summary.png', 'run.json', 'changes.npz', 'keyframes', 'bag', RECORD)
    }
    assert {p.name for p in tmp_path.iterdir()} == {'out', 'side.mp4'}
    with (tmp_path / 'out' / 'scores.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 23 and rows[0]['score'] == '0.000000'
    assert rows[5] == {
        'frame': '5',
        'stamp_s': '0.200000000',
        'score': '0.250000',
        'keyframe': '1',
        'committed_s': '0.320000000',
    }
    assert 'keyframes' in capsys.readouterr().out


def test_a_run_keeps_what_was_not_as_usual(tmp_path, small):
    params = tmp_path / 'own.yaml'
    params.write_text('/**/servo: {ros__parameters: {reflex: false}}')
    given = ('--mirror', '--rotate', '90', '--learn', '--params', params)
    assert command.run(arguments('x.mp4', '--out', tmp_path / 'out', *given)) == 0
    facts = json.loads((tmp_path / 'out' / 'run.json').read_text(encoding='utf-8'))
    assert facts['parameters'] == {
        'camera.rotate': 90,
        'camera.mirror': True,
        'servo.reflex': False,
    }


def test_a_run_without_a_picture_does_not_load_what_draws_it(tmp_path, small, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib', None)
    assert command.run(arguments('x.mp4', '--out', tmp_path / 'out')) == 0
    assert not (tmp_path / 'out' / 'summary.png').exists()


def test_two_runs_write_the_same_tables(tmp_path, small):
    for name in ('a', 'b'):
        command.run(arguments('x.mp4', '--out', tmp_path / name))
    for table in ('scores.csv', 'expression.csv', 'joints.csv', 'bag/bag.mcap'):
        first, second = ((tmp_path / name / table).read_bytes() for name in ('a', 'b'))
        assert first == second, table


@pytest.mark.parametrize('error', [KeyboardInterrupt, SourceError('broken')])
def test_nothing_half_written_is_left_when_a_run_breaks_off(tmp_path, small, monkeypatch, error):
    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr(module, 'write_summary', broken)
    options = '--video', tmp_path / 'v.mp4', '--summary'
    with pytest.raises(BaseException):  # noqa: B017
        command.run(arguments('x.mp4', '--out', tmp_path / 'out', *options))
    assert list(tmp_path.iterdir()) == []


def test_the_video_must_not_be_inside_the_folder_that_is_made_last(tmp_path, small):
    from kf_imitation.output_files import OutputError

    with pytest.raises(OutputError, match='inside'):
        command.run(arguments('x', '--out', tmp_path / 'o', '--video', tmp_path / 'o' / 'v.mp4'))


def test_numbers_have_one_spelling():
    assert fixed(-1e-9) == '0.000000'
    assert seconds(1_763_800_000_123_456_789) == '1763800000.123456789'
    assert seconds(-5) == '-0.000000005'


def test_a_frame_without_a_score_has_an_empty_cell(tmp_path):
    write_scores(tmp_path / 's.csv', [FrameScore(7, 3, None)], [])
    assert (tmp_path / 's.csv').read_text().splitlines()[1] == '7,0.000000003,,0,'


def test_joints_that_belong_together_share_a_panel():
    groups = joint_groups(['jaw', 'brow_left', 'gaze_yaw', 'brow_right', 'gaze_pitch', 'left'])
    assert groups == [
        ('jaw', [0]),
        ('brow', [1, 3]),
        ('gaze', [2, 4]),
        ('left', [5]),
    ]


def test_the_strip_covers_the_whole_run():
    record = module.replay(Frames(120), stages(), 'peak')
    shown = choose_shown(record.posed, 4)
    assert len(shown) == 4
    assert shown[0].keyframe.index < 30 and shown[-1].keyframe.index >= 90


def test_the_robot_is_drawn_after_the_delay_with_which_it_follows():
    record = module.replay(Frames(120), stages(), 'peak')
    opened_at = {p.keyframe.stamp_ns + 140_000_000: p.expression.values for p in record.posed}
    still = np.zeros(len(CHANNELS), np.float32)
    assert follows_after_s(record.posed, lambda stamp_ns: opened_at.get(stamp_ns, still)) == 0.14


def test_a_topic_of_something_that_is_no_bag_is_rejected(tmp_path, small):
    with pytest.raises(SourceError, match=r'x.mp4: --topic = x counts only with a bag'):
        command.run(arguments('x.mp4', '--out', tmp_path / 'out', '--topic', 'x'))
    assert list(tmp_path.iterdir()) == []
