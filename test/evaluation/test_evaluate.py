import argparse
import csv
import json

import cv2
import numpy as np
import pytest
import yaml

from kf_imitation.cli import evaluate as command
from kf_imitation.cli import evaluate_measures
from kf_imitation.cli import main as cli
from kf_imitation.data_types import CHANNELS, FaceRegion, FrameScore
from kf_imitation.errors import ConfigError, SourceError
from kf_imitation.evaluation import clip_scores, keyframes
from kf_imitation.evaluation.imitation import clip as imitation_clip
from kf_imitation.evaluation.methods import load_methods
from kf_imitation.evaluation.tune import detect, estimate
from kf_imitation.keyframe.scoring.baselines import FrameDifference
from kf_imitation.keyframe.scoring.pair_scorer import PairScorer
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.settings import DetectorSettings, FaceSettings
from kf_imitation.paths import share_path
from kf_imitation.pipeline.face_pipeline import FacePipeline
from kf_imitation.pipeline.statistics import Ledger

MOVES = (20, 40, 60, 80)


class FixedTracker:
    """The whole picture is the face."""

    state = 'following'

    def __init__(self, settings):
        self.settings = settings

    def update(self, frame):
        return FaceRegion(0, 0, 96, 1)

    def reset(self):
        pass


def make_clip(path, frames=100):
    """A square that jumps softly to the other side at each move, and labels that say so."""
    t = np.arange(frames)
    way = sum((-1) ** i / (1 + np.exp(-(t - m) / 1.5)) for i, m in enumerate(MOVES))
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 30, (96, 96))
    for x in 10 + 50 * way:
        image = np.full((96, 96, 3), 60, np.uint8)
        cv2.rectangle(image, (round(x), 30), (round(x) + 24, 60), (220, 220, 220), -1)
        writer.write(image)
    writer.release()
    shapes = np.zeros((frames, 52), np.float32)
    shapes[:, 20] = way
    np.savez(
        path.with_suffix('.npz'),
        blendshapes=shapes,
        names=np.array(['n'] * 52),
        head_pose=np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1)),
        landmarks_q=np.zeros((frames, 478, 3), np.int16),
        valid=np.ones(frames, bool),
        fps=30.0,
    )


@pytest.fixture
def clips(tmp_path, monkeypatch):
    monkeypatch.setattr(clip_scores, 'FaceTracker', FixedTracker)
    make_clip(tmp_path / 'clips' / 'one.avi')
    make_clip(tmp_path / 'clips' / 'id2' / 'two.avi')
    return tmp_path / 'clips'


def arguments(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_figures_and_scores_are_written(clips, tmp_path, capsys):
    out, folder = tmp_path / 'out.json', tmp_path / 'dump'
    words = (clips, '--methods', 'frame_difference,dis', '--json', out, '--dump', folder)
    assert command.run(arguments(*words)) == 0
    printed = capsys.readouterr().out
    assert 'frame_difference' in printed and 'commit delay against' in printed
    assert '95 % intervals over 2 people' in printed and 'frame_difference minus dis' in printed
    document = json.loads(out.read_text())
    methods, people = document['methods'], document['people']
    assert set(people) == {'one', 'id2/two'} and len(set(people.values())) == 2
    assert list(methods) == ['frame_difference', 'dis']
    for name, result in methods.items():
        assert list(result['clips']) == ['id2/two', 'one']
        assert result['mean']['clips'] == 2
        assert result['intervals']['f1']['mean'] == pytest.approx(result['mean']['f1'])
        assert result['clips']['one']['truth'] == len(MOVES)
        assert [point['commit_delay_s'] for point in result['curve']] == list(keyframes.CURVE_S)
        rows = list(csv.DictReader((folder / name / 'one.csv').open()))
        assert list(rows[0]) == ['frame', 'stamp_s', 'score', 'keyframe', 'committed_s']
        assert len(rows) == 100 and rows[0]['score'] == '0.000000'
        chosen = [int(row['frame']) for row in rows if row['keyframe'] == '1']
        assert len(chosen) == result['clips']['one']['found']
        assert (folder / name / 'id2' / 'two.csv').is_file()
    assert methods['dis']['clips']['one']['f1'] > 0.5


def test_only_the_clips_named_are_measured(clips, tmp_path):
    out = tmp_path / 'out.json'
    words = (clips, '--methods', 'frame_difference', '--json', out, '--clips', 'id2/*')
    command.run(arguments(*words))
    assert list(json.loads(out.read_text())['people']) == ['id2/two']
    with pytest.raises(ConfigError, match='no labelled clip is called x\\*'):
        command.run(arguments(clips, '--methods', 'dis', '--clips', 'one,x*'))


def test_imitation_too_is_measured_on_the_clips_named(clips, tmp_path, monkeypatch, capsys):
    read = []

    class Reader:
        """A jaw that opens and closes; points of the face are not known."""

        def __init__(self, values):
            pass

        def read(self, path, most_s):
            read.append(path)
            time = np.arange(50) / 25
            human = np.zeros((50, len(CHANNELS)))
            human[:, CHANNELS.index('jaw_open')] = np.sin(np.pi * time) ** 2
            stamps = np.round(time * 1e9).astype(np.int64)
            scores = [FrameScore(i, int(stamp), None) for i, stamp in enumerate(stamps)]
            valid = np.ones(50, np.bool_)
            return imitation_clip.Clip(
                path.stem, stamps, human, valid, [None] * 50, scores, scores
            )

    monkeypatch.setattr(evaluate_measures, 'ClipReader', Reader)
    out = tmp_path / 'out.json'
    words = ('--imitation', clips, '--channels', 'labels', '--imitation-methods', 'every_frame')
    command.run(arguments(*words, '--clips', 'id2/*', '--json', out))
    assert read == [clips / 'id2' / 'two.avi']
    assert list(json.loads(out.read_text())['methods']['every_frame']) == ['two']
    said = capsys.readouterr().err
    assert 'id2/two: mouth aperture is left out: the labels lack landmarks_q' in said
    with pytest.raises(ConfigError, match='no labelled clip is called three'):
        command.run(arguments(*words, '--clips', 'three'))


def test_labels_without_points_are_measured(clips, tmp_path):
    """The labels of the demo clip were rejected: they lack what keyframes do not need."""
    file = clips / 'one.npz'
    arrays = dict(np.load(file))
    del arrays['landmarks_q']
    np.savez(file, **arrays)
    out = tmp_path / 'out.json'
    command.run(arguments(clips, '--methods', 'frame_difference', '--json', out))
    assert list(json.loads(out.read_text())['people']) == ['id2/two', 'one']


def test_scores_are_those_of_the_runtime(clips):
    """Against FacePipeline, which the nodes run."""
    (method,) = load_methods(['frame_difference'], DetectorSettings(), 1)
    raw = clip_scores.score_frames(
        clips / 'one.avi', {'frame_difference': method.scorer}, FaceSettings()
    )['frame_difference']
    scores, keyframes = clip_scores.select(raw, method.settings, method.smoothing)
    pipeline = FacePipeline(
        FixedTracker(None),
        PairScorer(FrameDifference()),
        KeyframeSelector(method.settings, method.smoothing),
        64,
        Ledger(),
    )
    source = clip_scores.open_file(str(clips / 'one.avi'), clip_scores.SourceSettings())
    steps = []
    while (frame := source.read()) is not None:
        steps.append(pipeline.push(frame))
    source.close()
    steps.append(pipeline.flush())
    assert [s for step in steps for s in step.scores] == scores
    assert [c.keyframe for step in steps for c in step.chosen] == keyframes


def test_tuning_finds_settings_and_uses_the_same_detection(clips, capsys):
    words = (clips, '--methods', 'frame_difference', '--tune')
    assert command.run(arguments(*words)) == 0
    assert 'best of' in capsys.readouterr().out
    (method,) = load_methods(['frame_difference'], DetectorSettings(), 1)
    raw = clip_scores.score_frames(clips / 'one.avi', {'x': method.scorer}, FaceSettings())['x']
    smoothing, settings = Smoothing(), DetectorSettings(mode='peak', prominence=0.05)
    found = detect(estimate(raw, settings, smoothing), settings)
    assert [k.index for k in found] == [
        k.index for k in clip_scores.select(raw, settings, smoothing)[1]
    ]


def test_a_clip_with_few_faces_is_left_out_and_named(clips, tmp_path, capsys):
    make_clip(clips / 'away.avi')
    arrays = dict(np.load(clips / 'away.npz'))
    for key in ('blendshapes', 'head_pose'):
        arrays[key][:51] = np.nan
    arrays['valid'][:51] = False
    np.savez(clips / 'away.npz', **arrays)
    words = (clips, '--methods', 'frame_difference', '--json', tmp_path / 'out.json')
    assert command.run(arguments(*words)) == 0
    assert 'away is left out' in capsys.readouterr().err
    written = json.loads((tmp_path / 'out.json').read_text())
    assert written['left_out'] == ['away']
    assert list(written['methods']['frame_difference']['clips']) == ['id2/two', 'one']
    for path in ('one.npz', 'id2/two.npz'):
        (clips / path).unlink()
    with pytest.raises(SourceError, match='no clip shows a face'):
        command.run(arguments(clips, '--methods', 'frame_difference'))


def test_labels_of_another_length_are_rejected(clips):
    make_clip(clips / 'short.avi', 60)
    (clips / 'short.npz').write_bytes((clips / 'one.npz').read_bytes())
    with pytest.raises(SourceError, match='60 frames, but its labels have 100'):
        command.run(arguments(clips, '--methods', 'dis'))


def test_unknown_methods_are_named_all_at_once(clips):
    with pytest.raises(ConfigError) as raised:
        command.run(arguments(clips, '--methods', 'dis,good,better'))
    assert "'good' is not a method" in str(raised.value)
    assert "'better' is not a method" in str(raised.value)
    assert 'frame_difference' in str(raised.value)


def test_numbers_below_one_and_a_missing_folder_are_rejected():
    with pytest.raises(ConfigError) as raised:
        command.run(arguments('--threads', '0', '--jobs', '-1'))
    assert len(raised.value.faults) == 3


@pytest.mark.parametrize(
    ('words', 'faults'),
    [
        (('--imitation', 'DIR', '--every', '0'), ['--every = 0 must be 1 or more']),
        (
            ('DIR', '--every', '3', '--most', '8', '--rests', '--imitation-methods', 'peak'),
            [
                '--imitation-methods = peak counts only with --imitation: leave it out',
                '--rests counts only with --imitation: leave it out',
                '--every = 3 counts only with --imitation: leave it out',
                '--most = 8.0 counts only with --imitation: leave it out',
            ],
        ),
        (
            ('DIR', '--imitation', 'DIR', '--tune', '--jobs', '2'),
            [
                'DIR = {DIR} does not count with --imitation: leave it out',
                '--jobs = 2 does not count with --imitation: leave it out',
                '--tune does not count with --imitation: leave it out',
            ],
        ),
    ],
)
def test_options_that_would_not_count_are_rejected(words, faults, tmp_path):
    given = [str(tmp_path) if word == 'DIR' else word for word in words]
    with pytest.raises(ConfigError) as raised:
        command.run(arguments(*given))
    assert list(raised.value.faults) == [fault.replace('{DIR}', str(tmp_path)) for fault in faults]


def test_a_length_of_clips_that_is_no_time_is_rejected(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(['evaluate', '--imitation', str(tmp_path), '--most', '-1'])
    assert end.value.code == 2
    assert 'argument --most: -1 must be a number of seconds above 0' in capsys.readouterr().err


def test_the_command_line_says_in_one_line_what_is_wrong(tmp_path, capsys):
    assert cli.main(['evaluate', str(tmp_path / 'none'), '--methods', 'dis']) == 2
    assert 'is neither a file nor a directory' in capsys.readouterr().err


def test_every_method_of_the_file_is_complete():
    table = yaml.safe_load(share_path('config/evaluate.yaml').read_text(encoding='utf-8'))
    for entry in table.values():
        assert ('model' in entry) != ('baseline' in entry)
    assert load_methods(
        [name for name, entry in table.items() if 'baseline' in entry], DetectorSettings(), 1
    )
