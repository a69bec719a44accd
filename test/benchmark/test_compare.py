"""benchmark.compare tells slower rows from noise; benchmark.speed reads the table of mimic."""

import io

import pytest
from rich.console import Console

from benchmark.compare import FASTER, SAME, SLOWER, compare
from benchmark.speed import figures_of
from kf_imitation.pipeline.run_figures import RunFigures, run_table
from kf_imitation.pipeline.statistics import Times


def document(samples, more_is_better=False):
    return {'rows': {'score': {'samples': samples, 'more_is_better': more_is_better}}}


@pytest.mark.parametrize(
    ('before', 'after', 'verdict'),
    [
        ([10, 10, 10], [10.4, 10.4, 10.4], SAME),  # 5 % is noise
        ([10, 10, 10], [11, 11, 11], SLOWER),
        ([11, 11, 11], [10, 10, 10], FASTER),
        ([8, 10, 12], [11, 11, 11], SAME),  # within the spread
        ([10], [12], SLOWER),
    ],
)
def test_a_row_is_slower_only_beyond_noise(before, after, verdict):
    ((_, *_, found),) = compare(document(before), document(after))
    assert found == verdict


def test_fewer_frames_per_second_are_slower():
    ((_, *_, found),) = compare(document([30], True), document([17], True))
    assert found == SLOWER


def test_a_row_that_only_one_file_has_is_left_out():
    assert list(compare(document([1]), {'rows': {}})) == []


def test_the_table_of_mimic_is_read():
    times = {'capture to command': Times(40, 83.0, 101.0, 142.5, 200.0)}
    figures = RunFigures(14.0, 421, 420, 419, 47, 47, times, True, None)
    text = io.StringIO()
    Console(file=text, width=100).print(run_table(figures))
    assert figures_of(text.getvalue()) == {
        'rate': ('fps', 30.0),
        'capture to command p50': ('ms', 83.0),
        'capture to command p95': ('ms', 101.0),
        'capture to command p99': ('ms', 142.5),
    }
