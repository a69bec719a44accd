"""The calibration session: who counts as at rest, who as posed, and what is rejected."""

import cv2
import numpy as np
import pytest

from kf_imitation.camera.test_pattern import TestPattern
from kf_imitation.cli import main as cli
from kf_imitation.data_types import CHANNELS
from kf_imitation.errors import SourceError, counted
from kf_imitation.evaluation.calibrate import watch
from kf_imitation.parameters.settings import SourceSettings
from kf_imitation.pipeline.learned_person import NOBODY_S


@pytest.fixture
def source():
    pattern = TestPattern(SourceSettings(width=64, height=48, fps=10.0), length_s=10.0)
    pattern.open()
    return pattern


def test_the_time_at_rest_begins_with_the_first_face(source):
    def read(frame, camera):
        return None if frame.index < 20 else np.full(len(CHANNELS), float(frame.index))

    told = []
    rest, posed = watch(source, read, 3.0, 4.0, lambda *now: told.append(now))
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions) and fractions[0] == 0.0 and fractions[-1] > 0.9
    assert len({instruction for instruction, _ in told}) > 2
    assert rest[:, 0].tolist() == list(range(20, 50))
    assert posed[:, 0].tolist() == list(range(50, 91))


def test_faces_that_cannot_be_measured_are_left_out(source):
    def read(frame, camera):
        return np.full(len(CHANNELS), np.nan if frame.index % 2 else 1.0)

    rest, posed = watch(source, read, 3.0, 100.0, lambda *_: None)
    assert (len(rest), len(posed)) == (15, 35)


def test_a_file_without_a_face_is_rejected(source):
    with pytest.raises(SourceError, match='no face was seen'):
        watch(source, lambda *_: None, 3.0, 3.0, lambda *_: None)


def test_a_file_that_ends_within_the_time_at_rest_is_rejected_with_both_lengths(source):
    """All of it was taken for the face at rest."""

    def read(frame, camera):
        return None if frame.index < 20 else np.ones(len(CHANNELS))

    with pytest.raises(SourceError) as error:
        watch(source, read, 100.0, 3.0, lambda *_: None)
    assert str(error.value) == (
        f'{source.name}: ends 7.9 s after its first face, within the time at rest, '
        '--rest-s = 100: it must be less, so that expressions follow'
    )


def test_a_camera_before_an_empty_room_is_not_watched_for_ever():
    pattern = TestPattern(SourceSettings(width=64, height=48, fps=1.0), length_s=60.0)
    pattern.open()
    pattern.is_live = True
    seen = []

    def read(frame, camera):
        seen.append(frame.index)

    with pytest.raises(SourceError, match=f'nobody was seen for {NOBODY_S:g} s'):
        watch(pattern, read, 3.0, 3.0, lambda *_: None)
    assert NOBODY_S <= len(seen) < NOBODY_S + 3


@pytest.mark.parametrize('count', [1, 9])
def test_photographs_cannot_calibrate(tmp_path, capsys, count):
    for index in range(count):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.zeros((48, 64, 3), np.uint8))
    source = tmp_path / '0.png' if count == 1 else tmp_path
    out = tmp_path / 'me.yaml'
    assert cli.main(['calibrate', '--source', str(source), '--out', str(out)]) == 2
    said = capsys.readouterr().err
    assert f'{source}: {counted(count, "picture")} cannot calibrate; a camera or a video' in said
    assert not out.exists()


def test_an_existing_file_is_kept(tmp_path, capsys):
    out = tmp_path / 'me.yaml'
    out.write_text('mine', encoding='utf-8')
    assert cli.main(['calibrate', '--source', 'test-pattern:1', '--out', str(out)]) == 2
    assert 'exists already' in capsys.readouterr().err
    assert out.read_text(encoding='utf-8') == 'mine'


@pytest.mark.parametrize('time', ['nan', 'inf', '-1', '0', 'soon'])
def test_a_time_that_is_none_is_rejected_before_the_source_opens(tmp_path, capsys, time):
    out = tmp_path / 'me.yaml'
    with pytest.raises(SystemExit, match='2'):
        cli.main(
            ['calibrate', '--source', 'test-pattern:1', '--out', str(out), f'--rest-s={time}']
        )
    assert f'{time} must be a number of seconds above 0' in capsys.readouterr().err
