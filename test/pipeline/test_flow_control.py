"""Back-pressure between the camera node and the keyframe node."""

from threading import Thread

from kf_imitation.pipeline import flow_control
from kf_imitation.pipeline.flow_control import FlowControl


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
