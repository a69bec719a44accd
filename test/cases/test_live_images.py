"""A keyframe node beside a camera that sends what cameras really send."""

from types import SimpleNamespace

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS')

from kf_imitation.data_types import FrameScore  # noqa: E402
from kf_imitation.nodes.conversions import to_image, to_time  # noqa: E402
from kf_imitation.nodes.keyframe_node import KeyframeNode  # noqa: E402
from kf_imitation.nodes.node_base import WARN  # noqa: E402
from kf_imitation.pipeline.face_pipeline import FaceStep  # noqa: E402

T0, DT = 1_700_000_000 * 10**9, 33_333_333


class Pipeline:
    """Takes note of what reaches it."""

    def __init__(self):
        self.stamps = []
        self.resets = 0

    def push(self, frame):
        self.stamps.append(frame.stamp_ns)
        raw = FrameScore(frame.index, frame.stamp_ns, None)
        return FaceStep(None, 'no face', (), (), raw)

    def flush(self):
        return FaceStep(None, 'no face', (), ())

    def reset(self):
        self.resets += 1


def node_beside(topic):
    context = rclpy.Context()
    rclpy.init(context=context)
    pipeline = Pipeline()
    node = KeyframeNode({'topic': topic}, pipeline=pipeline, context=context)
    answered = []
    node._regions = SimpleNamespace(
        publish=lambda m: answered.append(len(m.polygon.points)),
        get_subscription_count=lambda: 1,
    )
    yield node, pipeline, answered
    node.close()
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def node():
    yield from node_beside('')


@pytest.fixture
def node_of_foreign_camera():
    yield from node_beside('/camera/image_raw')


def image(stamp_ns=T0, **changes):
    message = to_image(np.full((48, 64, 3), 100, np.uint8), 0, 'cam')
    message.header.stamp = to_time(stamp_ns)
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    'changes',
    [
        {'height': 0, 'width': 0, 'step': 0, 'data': b''},
        {'data': b'123'},
        {'encoding': 'nonsense'},
        {'encoding': ''},
        {'step': 0},
    ],
    ids=['zero size', 'short', 'unknown encoding', 'no encoding', 'no step'],
)
def test_a_bad_image_is_answered_counted_and_never_the_end(node, changes):
    node, pipeline, answered = node
    for index in range(10):
        node._on_image(image(T0 + index * DT, **(changes if index == 4 else {})))
    assert node.fault is None and not node.finished.is_set()
    assert len(pipeline.stamps) == 9 and len(answered) == 10
    assert node.ledger.count('left out') == 1


def test_while_only_bad_images_come_the_state_says_so(node):
    node, pipeline, _ = node
    for index in range(30):
        node._on_image(image(T0 + index * DT, encoding='nonsense'))
    level, words, _ = node.status()
    assert level == WARN and words.startswith('30 images in a row cannot be used')
    node._on_image(image(T0 + 40 * DT))
    assert 'cannot be used' not in node.status()[1] and len(pipeline.stamps) == 1


def test_zero_stamps_are_taken_for_the_time_of_arrival(node):
    node, pipeline, _ = node
    before = node.get_clock().now().nanoseconds
    for _ in range(5):
        node._on_image(image(0))
    assert len(pipeline.stamps) == 5 and pipeline.resets == 0
    assert before <= pipeline.stamps[0] and (np.diff(pipeline.stamps) > 0).all()


def test_swapped_and_doubled_images_are_left_out_and_nothing_starts_again(node):
    node, pipeline, _ = node
    stamps = [T0 + i * DT - (50_000_000 if i % 6 == 3 else 0) for i in range(36)]
    for stamp_ns in [*stamps, stamps[-1], stamps[-1]]:
        node._on_image(image(stamp_ns))
    assert len(pipeline.stamps) == 30 and pipeline.resets == 0
    assert node.ledger.count('left out') == 8


def test_a_bag_that_starts_again_is_another_source(node):
    node, pipeline, _ = node
    for _ in range(2):
        for index in range(60):
            node._on_image(image(T0 + index * DT))
    assert len(pipeline.stamps) == 120 and pipeline.resets == 1


def test_a_camera_whose_clock_is_behind_is_said_instead_of_no_frames(node):
    node, pipeline, _ = node
    for _ in range(30):
        node._on_image(image(node.get_clock().now().nanoseconds - 10**9))
    level, words, _ = node.status()
    assert not pipeline.stamps and level == WARN
    assert words.startswith('30 images in a row were stamped more than most_latency_s = 0.15 s')
    node._on_image(image(node.get_clock().now().nanoseconds))
    assert len(pipeline.stamps) == 1 and 'most_latency_s' not in node.status()[1]


@pytest.mark.parametrize('lag_s', [0.2, 1.0, 9.0])
def test_a_foreign_camera_that_always_lags_is_scored_but_for_the_first_images(
    node_of_foreign_camera, lag_s
):
    node, pipeline, _ = node_of_foreign_camera
    now_ns = T0
    node.now_ns = lambda: now_ns
    node._bound._now_ns = node.now_ns
    late = []
    for index in range(120):
        now_ns = T0 + index * DT
        late.append(index >= 60 and index % 10 == 0)  # 0.2 s later than the others
        node._on_image(image(now_ns - round(lag_s * 1e9) - 200_000_000 * late[-1]))
    begun = 120 - 19 - sum(late)
    assert len(pipeline.stamps) == begun and pipeline.resets == 0
    # What follows sees the stamps of arrival, and gets no allowance of its own.
    assert pipeline.stamps[-1] == now_ns


def test_a_camera_that_hangs_is_named_in_the_state(node):
    node, pipeline, _ = node
    for index in range(200):
        node._on_image(image(T0 + index * DT))
    level, sentence, _ = node.status()
    assert level == WARN and 'sends the same picture again and again' in sentence
    assert len(pipeline.stamps) == 200
