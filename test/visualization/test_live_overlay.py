"""keyframe/annotated: what is written on the frame."""

import numpy as np

from kf_imitation.data_types import FaceRegion, Frame, FrameScore
from kf_imitation.keyframe.explanation_values import frame_values, words
from kf_imitation.visualization import live_overlay


def test_the_score_of_now_and_that_of_the_keyframe_are_told_apart(monkeypatch):
    """Two lines were called `score`."""
    written = []
    monkeypatch.setattr(live_overlay, 'label', lambda picture, text, *_: written.append(text))
    overlay = live_overlay.LiveOverlay()
    region = FaceRegion(10.0, 10.0, 40.0)
    score = FrameScore(index=3, stamp_ns=10**9, score=0.25, region=region)
    overlay.add([score], [])
    overlay.explain(10**9, words(frame_values(score, 0.1, 20.0), None))
    picture = np.zeros((480, 640, 3), np.uint8)
    overlay.draw(Frame(3, 10**9, picture), region, 'following')
    assert written == ['score now 0.25', 'keyframe: score 0.25']
