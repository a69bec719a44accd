"""Back-pressure between the camera node and the keyframe node; the bound of lateness."""

from threading import Thread

import pytest

from kf_imitation.pipeline import flow_control
from kf_imitation.pipeline.flow_control import FlowControl, LatencyBound
from kf_imitation.pipeline.statistics import Ledger


def refuse_loss(count):
    raise AssertionError(f'{count} frames lost')


def in_thread(action):
    results = []
    thread = Thread(target=lambda: results.append(action()))
    thread.start()
    return thread, results


def test_frames_up_to_the_limit_go_out_at_once_and_the_next_waits_for_an_answer():
    flow = FlowControl(3, refuse_loss)
    assert [flow.admit(stamp) for stamp in (1, 2, 3)] == [True] * 3
    thread, results = in_thread(lambda: flow.admit(4))
    assert not results
    flow.taken_in(1)
    thread.join(5)
    assert results == [True]


def test_an_answer_counts_for_all_frames_before_it():
    flow = FlowControl(3, refuse_loss)
    for stamp in (1, 2, 3):
        flow.admit(stamp)
    flow.taken_in(3)
    assert [flow.admit(stamp) for stamp in (4, 5, 6)] == [True] * 3


def test_frames_need_not_be_explained_to_go_on():
    # Regression: scores are final frames later; waiting for them with few frames under way
    # would wait for ever.
    flow = FlowControl(1, refuse_loss)
    for stamp in range(1, 20):
        assert flow.admit(stamp)
        flow.taken_in(stamp)


def test_the_end_waits_for_the_last_explanation():
    flow = FlowControl(4, refuse_loss)
    flow.admit(1)
    flow.taken_in(1)
    thread, results = in_thread(flow.wait_until_through)
    assert not results
    flow.explained(1)
    thread.join(5)
    assert results == [None]


def test_an_explanation_of_an_earlier_keyframe_does_not_end_it():
    flow = FlowControl(4, refuse_loss)
    for stamp in (1, 2):
        flow.admit(stamp)
    flow.taken_in(2)
    flow.explained(2)
    flow.explained(1)  # a keyframe is explained again when it is committed
    flow.wait_until_through()


def test_stopping_ends_all_waiting():
    flow = FlowControl(1, refuse_loss)
    flow.admit(1)
    thread, results = in_thread(lambda: flow.admit(2))
    flow.stop()
    thread.join(5)
    assert results == [False]
    flow.wait_until_through()


def test_frames_that_nobody_answers_are_given_up_and_counted(monkeypatch):
    monkeypatch.setattr(flow_control, 'ANSWER_TIMEOUT_S', 0.05)
    lost = []
    flow = FlowControl(2, lost.append)
    assert all(flow.admit(stamp) for stamp in (1, 2, 3))
    assert lost == [2]


class SlowHead:
    """A camera, then stages in a row with a slot each, on a clock of our own.

    A stage takes the newest of what waits for it; then it is busy for a while.
    """

    MOST_S = 0.15

    def __init__(self, fps, busy_s):
        self.now_ns = 0
        self.ledger = Ledger()
        self.period_ns = round(1e9 / fps)
        self.busy_ns = {stage: round(s * 1e9) for stage, s in busy_s.items()}
        self.bounds = {
            stage: LatencyBound(stage, self.MOST_S, lambda: self.now_ns, self.ledger)
            for stage in busy_s
        }
        self.waiting = {stage: None for stage in busy_s}
        self.free_ns = dict.fromkeys(busy_s, 0)
        self.working = dict.fromkeys(busy_s)
        self.ages_s = []

    def run(self, seconds):
        first, *_ = stages = list(self.waiting)
        for self.now_ns in range(0, round(seconds * 1e9), 1_000_000):
            if self.now_ns % self.period_ns < 1_000_000:
                self.waiting[first] = self.now_ns
            for i, stage in enumerate(stages):
                self.step(stage, stages[i + 1] if i + 1 < len(stages) else None)

    def step(self, stage, following):
        if self.now_ns < self.free_ns[stage]:
            return
        if (done := self.working[stage]) is not None:
            self.working[stage] = None
            if following is None:
                self.ages_s.append((self.now_ns - done) * 1e-9)
            else:
                self.waiting[following] = done
        stamp_ns, self.waiting[stage] = self.waiting[stage], None
        if stamp_ns is not None and not self.bounds[stage].skips(stamp_ns):
            self.working[stage] = stamp_ns
            self.free_ns[stage] = self.now_ns + self.busy_ns[stage]


@pytest.mark.parametrize('fps', [30, 60, 240])
@pytest.mark.parametrize(
    'busy_s',
    [
        {'scoring': 0.02, 'landmarks': 0.01},
        {'scoring': 0.1, 'landmarks': 0.01},
        {'scoring': 0.02, 'landmarks': 0.4},
        {'scoring': 0.12, 'landmarks': 0.12, 'command': 0.12},
        {'scoring': 2.0, 'landmarks': 0.5},
    ],
    ids=str,
)
def test_lateness_is_bounded_however_slow_the_stages_are(fps, busy_s):
    head = SlowHead(fps, busy_s)
    head.run(20)
    *before, last = busy_s
    # Nothing older than the bound begins at any stage: the last one adds its own time, no more.
    assert all(age <= head.MOST_S + busy_s[last] + 0.002 for age in head.ages_s)
    if sum(busy_s[stage] for stage in before) + 1 / fps < head.MOST_S:
        assert head.ages_s  # and something arrives
    if max(busy_s.values()) < 1 / fps:
        assert not head.ledger.counts()  # what is fast enough skips nothing


def test_what_is_skipped_is_counted_by_stage_with_how_far_it_was_behind():
    ledger = Ledger()
    bound = LatencyBound('scoring', 0.15, lambda: 1_000_000_000, ledger)
    assert not bound.skips(900_000_000)
    assert bound.skips(809_000_000)
    assert ledger.count('skipped at scoring') == 1
    assert ledger.times()['behind at scoring'].worst_ms == pytest.approx(41)


def test_stamps_of_another_clock_are_not_late_and_a_bound_of_0_is_none():
    assert not LatencyBound('scoring', 0.15, lambda: 10**18, Ledger()).skips(1)
    assert not LatencyBound('scoring', 0.15, lambda: 0, Ledger()).skips(10**9)
    assert not LatencyBound('scoring', 0.0, lambda: 5 * 10**9, Ledger()).skips(1)
