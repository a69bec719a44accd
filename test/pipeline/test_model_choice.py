"""`model: auto`, in virtual time."""

from types import SimpleNamespace

import numpy as np
import pytest

from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.model_files import find_model_file
from kf_imitation.parameters.settings import (
    ACCURATE_MODEL,
    AUTO_MODEL,
    QUICK_MODEL,
    first_model,
)
from kf_imitation.pipeline import model_choice
from kf_imitation.pipeline.model_choice import RUN, Cost, ModelChoice, Overload, measure

PLAIN = Cost(wall_s=0.0177, processor_s=0.0325)  # two AVX2 cores, alone
FAST = Cost(wall_s=0.0055, processor_s=0.0095)  # a processor with VNNI


class Model:
    """Costs what the test says, by its own clock."""

    def __init__(self, name, clock=None, wall_s=0.0, processor_s=0.0):
        self.name, self.clock = name, clock
        self.input_shapes = {'crop': (1, 8, 8, 3)}
        self.cost = wall_s, processor_s
        self.runs = 0

    def run(self, feeds):
        self.runs += 1
        if self.clock:
            self.clock.wall_s += self.cost[0]
            self.clock.processor_s += self.cost[1]
        return {'score': np.zeros(1, np.float32)}


class Pipeline:
    def __init__(self, network):
        self.network = network

    def score_with(self, network):
        self.network = network


@pytest.fixture
def head(monkeypatch):
    """A live head; `head(Cost)` starts it and returns pipeline, choice and what was said."""
    monkeypatch.setattr(
        model_choice.OnnxModel, 'load', lambda name, threads, manifest=None: Model(name)
    )
    monkeypatch.setattr(model_choice.os, 'sched_getaffinity', lambda _: {0, 1})

    def start(cost, **values):
        said = []
        pipeline = Pipeline(ChangeNetwork(Model(ACCURATE_MODEL)))
        settings = {'model': AUTO_MODEL, 'lossless': False, 'threads': 2} | values
        choice = ModelChoice(settings, pipeline, said.append, lambda network: cost)
        return pipeline, choice, said

    return start


def seconds(number, fps=30):
    return range(0, round(number * 1e9) + 1, round(1e9 / fps))


@pytest.mark.parametrize(
    ('cost', 'cores', 'fits'),
    [
        (PLAIN, 2, False),
        (PLAIN, 4, True),
        (FAST, 2, True),
        (FAST, 1, False),
        (Cost(0.05, 0.0325), 16, False),  # many cores, but busy with other programs
    ],
)
def test_the_accurate_model_fits_where_thirty_frames_leave_room_for_the_rest(cost, cores, fits):
    assert cost.fits(cores) is fits


def test_a_plain_machine_of_two_cores_begins_with_the_quick_model_and_says_so_once(head):
    pipeline, choice, said = head(PLAIN)
    assert pipeline.network.model_name == QUICK_MODEL
    for stamp_ns in seconds(20):
        choice.skipped(stamp_ns)
    assert len(said) == 1 and '18 ms' in said[0] and 'model: auto' in said[0]


def test_a_fast_machine_stays_with_the_accurate_model(head):
    pipeline, choice, said = head(FAST)
    for stamp_ns in seconds(20):
        choice.scored(stamp_ns, 0.02)
    assert pipeline.network.model_name == ACCURATE_MODEL and not said


@pytest.mark.parametrize(
    'values', [{'model': ACCURATE_MODEL}, {'model': 'other'}, {'lossless': True}], ids=str
)
def test_a_fixed_model_and_a_lossless_run_stay(head, values):
    pipeline, choice, said = head(PLAIN, **values)
    for stamp_ns in seconds(20):
        choice.scored(stamp_ns, 0.1)
        choice.skipped(stamp_ns)
    assert pipeline.network.model_name == ACCURATE_MODEL and not said


@pytest.mark.parametrize('busy_s', [0.032, 0.07])
def test_what_does_not_keep_up_for_some_seconds_goes_over_once_and_never_back(head, busy_s):
    pipeline, choice, said = head(FAST)
    stamps = seconds(30, fps=min(30, 1 / busy_s))
    for stamp_ns in stamps:
        before = pipeline.network.model_name
        choice.scored(stamp_ns, busy_s if stamp_ns < 10e9 else 0.001)
        if pipeline.network.model_name != before:
            assert RUN * 1e9 <= stamp_ns < (RUN + 1) * 1e9
    assert pipeline.network.model_name == QUICK_MODEL and len(said) == 1


def test_frames_that_come_too_late_count_though_scoring_itself_rests(head):
    pipeline, choice, said = head(FAST)
    for i, stamp_ns in enumerate(seconds(6)):
        choice.skipped(stamp_ns) if i % 5 == 0 else choice.scored(stamp_ns, 0.005)
    assert pipeline.network.model_name == QUICK_MODEL and len(said) == 1


def test_a_hiccup_a_pause_and_a_clock_that_steps_are_no_overload():
    watch = Overload()
    stamps = [*seconds(RUN - 1), *(20e9 + s for s in seconds(RUN - 1)), *seconds(RUN - 1)]
    assert not any(watch.scored(round(stamp), 0.033) for stamp in stamps)
    calm = [s for s in seconds(40) if s % 3_000_000_000 < 2_000_000_000]
    assert not any(watch.scored(50 * 10**9 + stamp, 0.033) for stamp in calm)


@pytest.mark.parametrize('cost', [PLAIN, FAST, Cost(2.0, 3.0)], ids=str)
def test_the_measurement_is_that_of_the_middle_pair_and_ends_within_a_second(monkeypatch, cost):
    clock = SimpleNamespace(wall_s=0.0, processor_s=0.0)
    monkeypatch.setattr(model_choice, 'perf_counter', lambda: clock.wall_s)
    monkeypatch.setattr(model_choice, 'process_time', lambda: clock.processor_s)
    model = Model('m', clock, cost.wall_s, cost.processor_s)
    found = measure(ChangeNetwork(model))
    assert found.wall_s == pytest.approx(cost.wall_s)
    assert found.processor_s == pytest.approx(cost.processor_s)
    assert clock.wall_s < 1.0 or model.runs == 1


def test_both_models_of_auto_are_smoothed_alike_so_one_can_follow_the_other():
    entries = [find_model_file('models', name)[0] for name in (ACCURATE_MODEL, QUICK_MODEL)]
    assert Smoothing.of_model(entries[0]) == Smoothing.of_model(entries[1])
    assert first_model(AUTO_MODEL) == ACCURATE_MODEL and first_model('x') == 'x'
