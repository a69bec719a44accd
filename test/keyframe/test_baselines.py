import cv2
import numpy as np
import pytest

from kf_imitation.data_types import FaceRegion, Frame
from kf_imitation.keyframe.scoring.baselines import DisFlow, FrameDifference
from kf_imitation.keyframe.scoring.pair_scorer import PairScorer
from kf_imitation.keyframe.selection.selector import KeyframeSelector
from kf_imitation.parameters.settings import DetectorSettings

REGION = FaceRegion(20, 20, 160, 1)
COMPARISONS = [FrameDifference, DisFlow]


def texture(seed=0):
    noise = np.random.default_rng(seed).uniform(0, 255, (200, 200, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def moved(image, pixels):
    return np.roll(image, pixels, axis=1)


def score(comparison, images, fps=30.0, region=REGION):
    scorer = PairScorer(comparison)
    return [scorer.score(Frame(i, round(i / fps * 1e9), b), region) for i, b in enumerate(images)]


@pytest.mark.parametrize('make', COMPARISONS)
def test_more_movement_scores_higher_and_none_scores_nothing(make):
    image = texture()
    still, slow, fast = (score(make(), [image, moved(image, n)])[1].score for n in (0, 1, 3))
    assert still == pytest.approx(0, abs=1e-3)
    assert 0.02 < slow < fast < 1


def test_dis_flow_is_measured_in_crop_pixels():
    image = texture()
    result = score(DisFlow(), [image, moved(image, 2)])[1]
    assert result.flow_px == pytest.approx(2 * 96 / 160, rel=0.25)


@pytest.mark.parametrize('make', COMPARISONS)
def test_a_region_that_moves_over_a_still_picture_is_no_movement(make):
    scorer, image = PairScorer(make()), texture()
    scorer.score(Frame(0, 0, image), REGION)
    result = scorer.score(Frame(1, 33_000_000, image), FaceRegion(30, 25, 150, 1))
    assert result.score == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize('make', COMPARISONS)
def test_the_same_speed_scores_alike_at_any_frame_rate(make):
    image = cv2.resize(texture(), (1600, 1600), interpolation=cv2.INTER_CUBIC)
    region = FaceRegion(160, 160, 1280, 1)
    by_rate = [
        score(make(), [image, moved(image, 480 // fps)], fps, region)[1].score for fps in (15, 30)
    ]
    assert by_rate[0] == pytest.approx(by_rate[1], rel=0.3)


@pytest.mark.parametrize('make', COMPARISONS)
def test_camera_noise_on_a_photograph_gives_no_keyframes(make):
    rng = np.random.default_rng(5)
    image = texture().astype(np.float32)
    noisy = [
        np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8) for _ in range(90)
    ]
    selector = KeyframeSelector(DetectorSettings(mode='peak'))
    found = [k for s in score(make(), noisy) for k in selector.push(s).keyframes]
    assert found + selector.flush().keyframes == []
