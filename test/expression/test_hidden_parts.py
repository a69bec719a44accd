"""Whether frames see eyes and mouth, before a keyframe has looked."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kf_imitation.data_types import CHANNELS, FaceRegion, FrameScore
from kf_imitation.expression.clear_expressions import parts_of
from kf_imitation.expression.hidden_parts import Seen, parts_seen
from kf_imitation.expression.reflex_estimator import EYES, MAYBE, ReflexEstimator
from kf_imitation.inference import OnnxModel, crop
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork

MEDIA = Path(__file__).resolve().parents[2] / 'media'
FRAME = 10  # of the demo clip, at rest
REGION = FaceRegion(55.0, 82.0, 366.0)


@pytest.fixture(scope='module')
def looks():
    """Reading and embeddings of the face as it is, behind dark glasses and behind a mask."""
    network = ChangeNetwork(OnnxModel.load('keyframe_lite', 1))
    capture = cv2.VideoCapture(str(MEDIA / 'demo.mp4'))
    picture = [capture.read()[1] for _ in range(FRAME + 1)][-1]
    dark = picture.copy()
    with np.load(MEDIA / 'demo.npz') as labels:
        points = labels['landmarks98'][FRAME]
    for eye in (points[60:68], points[68:76]):
        (x, y), width = eye.mean(axis=0), np.ptp(eye[:, 0])
        axes = round(0.85 * width), round(0.6 * width)
        cv2.ellipse(dark, (round(x), round(y)), axes, 0, 0, 360, (18, 16, 15), -1, cv2.LINE_AA)
    cheeks = np.vstack([points[4:29], points[53] - [0, 10]]).astype(np.int32)
    masked = cv2.fillConvexPoly(picture.copy(), cv2.convexHull(cheeks), (190, 150, 110))
    found = {}
    for name, image in (('free', picture), ('dark', dark), ('masked', masked)):
        network.begin(crop(image, REGION, network.crop_px))
        found[name] = network.reading.copy(), network.embeddings.copy()
    return found


def confidence(reader, look, track_id=1):
    reading, embeddings = look
    region = FaceRegion(0, 0, 9, track_id)
    score = FrameScore(0, 0, None, region=region, reading=reading, embeddings=embeddings)
    return reader.update(score).confidence[EYES].tolist()


def test_eyes_are_seen_but_not_behind_dark_glasses_and_a_mouth_but_not_behind_a_mask(looks):
    seen = {name: parts_seen(parts_of(embeddings)) for name, (_, embeddings) in looks.items()}
    assert seen == {
        'free': Seen(mouth=True, eyes=True, eyes_surely=True),
        'dark': Seen(mouth=True, eyes=False, eyes_surely=False),
        'masked': Seen(mouth=False, eyes=True, eyes_surely=True),
    }


def test_reflexes_are_sure_of_eyes_from_when_they_are_seen_until_the_face_is_anothers(looks):
    reader, sure, maybe = ReflexEstimator(), [1.0] * len(EYES), [MAYBE] * len(EYES)
    assert confidence(reader, looks['dark']) == maybe
    assert confidence(reader, looks['free']) == sure
    assert confidence(reader, looks['dark']) == sure
    assert confidence(reader, looks['dark'], track_id=2) == maybe
    assert {CHANNELS[k] for k in EYES} == {
        name for name in CHANNELS if name.startswith(('eye', 'gaze'))
    }
