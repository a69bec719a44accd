import numpy as np
import pytest

from kf_imitation.data_types import FaceRegion
from kf_imitation.inference import crop


def ramp(width=400, height=300):
    x = np.arange(width)[None, :].repeat(height, 0)
    y = np.arange(height)[:, None].repeat(width, 1)
    return np.stack([x * 0.6, y * 0.8, 0 * x], axis=2).astype(np.uint8)


def test_an_image_that_is_the_crop_already_is_not_sampled_again():
    image = ramp(200, 200)
    assert crop(image, FaceRegion(0, 0, 200), 200) is image
    np.testing.assert_array_equal(crop(ramp(201, 200), FaceRegion(0, 0, 200), 200), image)


@pytest.mark.parametrize('size_px', [16, 40, 100, 200])
@pytest.mark.parametrize('region', [FaceRegion(50, 60, 200), FaceRegion(33.3, 20.7, 150.5)])
def test_a_crop_samples_the_place_it_names_at_every_scale(size_px, region):
    image = crop(ramp(), region, size_px)
    centres = (np.arange(size_px) + 0.5) * region.size / size_px - 0.5
    assert image.shape == (size_px, size_px, 3)
    assert np.abs(image[size_px // 2, :, 0] - 0.6 * (region.x + centres)).max() < 1.5
    assert np.abs(image[:, size_px // 2, 1] - 0.8 * (region.y + centres)).max() < 1.5


@pytest.mark.parametrize('size_px', [10, 50])
def test_a_region_over_the_border_repeats_the_border(size_px):
    region = FaceRegion(-500, -500, 300)
    image = crop(ramp(), region, size_px)
    averaged_px = region.size / size_px  # the border's block of pixels, where it shrinks
    assert image.max() <= 0.8 * averaged_px


def test_a_region_larger_than_a_tiny_image_is_cropped_all_the_same():
    assert crop(np.full((3, 5, 3), 9, np.uint8), FaceRegion(-900, -900, 2000), 8).max() == 9
