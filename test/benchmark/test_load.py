"""What the load test makes of a run."""

import os
import subprocess
import sys

import numpy as np
import pytest

from benchmark.load import LATENCY, arrivals, family, read_table, thirds
from benchmark.runs import short_clip
from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.writer import BagWriter
from kf_imitation.camera.sources import open_source
from kf_imitation.data_types import CHANNELS, Expression
from kf_imitation.pipeline.run_figures import BusFigures, RunFigures, run_table
from kf_imitation.pipeline.statistics import Ledger


def test_drift_is_what_the_last_third_has_more_than_the_first():
    assert thirds([3.0] * 90) == (3.0, 3.0, 3.0)
    first, _, last = thirds(np.linspace(0, 9, 90))
    assert last - first == pytest.approx(6.0, abs=0.1)
    assert np.isnan(thirds([])).all()


def test_latency_is_from_the_stamp_to_the_arrival_in_the_bag(tmp_path):
    values = np.zeros(len(CHANNELS), np.float32)
    with BagWriter(tmp_path / 'bag', 0) as writer:
        for index in range(5):
            late_ns = (100 + index) * 1_000_000
            expression = Expression(10**18 + index * 10**8, values, values)
            BagTopics(writer).expression(expression, expression.stamp_ns + late_ns)
    at_ns, stamps_ns = arrivals(tmp_path / 'bag', LATENCY)
    assert (at_ns - stamps_ns).tolist() == [(100 + i) * 1_000_000 for i in range(5)]
    assert [part.size for part in arrivals(tmp_path / 'bag', 'face/region')] == [0, 0]


def test_the_table_of_a_run_is_read_back():
    from rich.console import Console

    ledger = Ledger()
    ledger.observe('behind at scoring', 0.04)
    figures = RunFigures(
        10.0, 300, 290, 280, 20, 20, ledger.times(), True, BusFigures(100.0, 1.0, 12, 0),
        skipped={'scoring': 7}, models={'keyframe_default': 100, 'keyframe_lite': 180},
    )  # fmt: skip
    console = Console(width=100)
    with console.capture() as capture:
        console.print(run_table(figures))
    models = {'keyframe_default': 100, 'keyframe_lite': 180}
    assert read_table(capture.get()) == (12, {'scoring': 7}, models)


def test_the_memory_of_children_and_their_children_counts():
    inner = 'import sys; print(0, flush=True); sys.stdin.read()'
    outer = f'import subprocess, sys; subprocess.run([sys.executable, "-c", {inner!r}])'
    command = [sys.executable, '-c', outer]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()  # the grandchild runs
        found = family(os.getpid())
        child.stdin.close()
    assert child.pid in found and len(found) >= 3


def test_the_clip_of_a_faster_or_larger_source_is_what_it_says(tmp_path):
    source = open_source(str(short_clip(tmp_path, 60.0, 320)))
    frame = source.read()
    source.close()
    assert source.fps == pytest.approx(60.0) and frame.bgr.shape[1] == 320
