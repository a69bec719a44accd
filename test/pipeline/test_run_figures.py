"""The table at the end of a run."""

import io

from rich.console import Console

from kf_imitation.pipeline.run_figures import RunFigures, run_table
from kf_imitation.pipeline.statistics import Times


def rows(figures):
    text = io.StringIO()
    Console(file=text, width=100).print(run_table(figures))
    return text.getvalue().splitlines()


def test_a_clip_whose_frames_are_too_far_apart_says_so():
    figures = RunFigures(13.0, 14, 14, 0, 0, 0, {}, False, None, far_apart=12)
    lines = rows(figures)
    (unscored,) = [line for line in lines if 'without a score' in line]
    assert ' 2 ' in unscored and 'no face, or first' in unscored
    (apart,) = [line for line in lines if 'too far apart' in line]
    assert ' 12 ' in apart and 'over 0.25 s after the frame before' in apart


def test_the_table_reports_what_was_skipped_at_which_stage():
    times = {'behind at scoring': Times(12, 41.0, 60.0, 70.0, 75.0)}
    figures = RunFigures(14.0, 421, 400, 399, 47, 47, times, True, None, skipped={'scoring': 12})
    text = io.StringIO()
    Console(file=text, width=100).print(run_table(figures))
    (line,) = [line for line in text.getvalue().splitlines() if 'skipped at scoring' in line]
    assert '12 frames' in line and '41 ms behind, 75 ms at most' in line
    (dropped,) = [line for line in text.getvalue().splitlines() if 'dropped' in line]
    assert ' 9 ' in dropped
