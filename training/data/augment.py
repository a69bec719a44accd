"""Changes to crops that leave the expression as it is: place, light, noise, blur, compression.

Everything is drawn from a NumPy generator, so a seed repeats a sample exactly.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from kf_imitation.inference import channel_mean


@dataclass(frozen=True)
class AugmentSettings:
    """How strongly crops are changed; zeros switch a change off.

    Attributes:
        shift: of the region's centre, in region sizes.
        zoom: of the region's size, as a natural logarithm.
        turn_deg: in the image plane.
        light: strength of gain, gamma and colour changes.
        noise: largest standard deviation of the sensor noise [grey levels].
        blur_px: largest standard deviation of the blur.
        compress: probability of JPEG artefacts.
        flicker: standard deviation of the frame-to-frame gain.
        grey: probability of a grey image.
        occlude: probability of a still patch over the face.
    """

    shift: float = 0.07
    zoom: float = 0.14
    turn_deg: float = 8.0
    light: float = 1.0
    noise: float = 4.0
    blur_px: float = 1.2
    compress: float = 0.1
    flicker: float = 0.006
    grey: float = 0.12
    occlude: float = 0.1


OFF = AugmentSettings(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def crop_matrix(
    region: np.ndarray,
    size_px: int,
    rng: np.random.Generator,
    settings: AugmentSettings,
    mirrored: bool,
) -> tuple[np.ndarray, float]:
    """Place a crop around a face region.

    Args:
        region: centre x, centre y, size [px].
        size_px: edge of the crop.
        rng: source of chance.
        settings: shift, zoom and turn are used.
        mirrored: exchange left and right.

    Returns:
        (2, 3) matrix from crop pixels to image pixels, and the angle [rad] by which the face in
        the crop is turned counter-clockwise (before mirroring).
    """
    x, y, size = (float(v) for v in region)
    x += size * settings.shift * rng.uniform(-1, 1)
    y += size * settings.shift * rng.uniform(-1, 1)
    size *= float(np.exp(settings.zoom * rng.uniform(-1, 1)))
    angle = np.deg2rad(settings.turn_deg) * rng.uniform(-1, 1)
    stretch = float(np.exp(0.3 * settings.zoom * rng.uniform(-1, 1)))
    step_x, step_y = size / size_px * stretch, size / size_px / stretch
    sign = -1.0 if mirrored else 1.0
    # Sampling along axes turned clockwise on the screen turns the content counter-clockwise.
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([sign * step_x, step_y])
    middle = (size_px - 1) / 2
    offset = np.array([x, y]) - linear @ np.array([middle, middle])
    return np.concatenate([linear, offset[:, None]], axis=1), float(angle)


def cut(image: np.ndarray, matrix: np.ndarray, size_px: int) -> np.ndarray:
    """Sample a crop; borders are repeated."""
    return cv2.warpAffine(
        image,
        matrix,
        (size_px, size_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


class Appearance:
    """One draw of light, noise, blur and compression, applied to all frames of a sample.

    Args:
        rng: source of chance.
        settings: strength of the changes.
        size_px: edge of the crops.
        mean: crops become one channel, the mean of three.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        settings: AugmentSettings,
        size_px: int,
        mean: bool = False,
    ) -> None:
        self._rng = rng
        self._settings = settings
        self._mean = mean
        light = settings.light
        gain = np.exp(light * (rng.normal(0, 0.18) + rng.normal(0, 0.07, 3)))
        bias = light * rng.normal(0, 12)
        gamma = np.exp(light * rng.normal(0, 0.2))
        level = np.linspace(0, 1, 256)[:, None] ** gamma * gain * 255 + bias
        self._table = np.clip(level, 0, 255).astype(np.uint8)[None]
        self._noise = settings.noise * rng.uniform(0, 1) ** 2 * (rng.random() < 0.7)
        self._blur = settings.blur_px * rng.uniform(0, 1) * (rng.random() < 0.35)
        self._quality = int(rng.integers(35, 92)) if rng.random() < settings.compress else 0
        self._grey = rng.random() < settings.grey
        self._shade = None
        if light and rng.random() < 0.3:
            y, x = np.mgrid[0:size_px, 0:size_px] / size_px - 0.5
            angle = rng.uniform(0, 2 * np.pi)
            slope = light * rng.uniform(0.1, 0.6)
            shade = np.exp(slope * (np.cos(angle) * x + np.sin(angle) * y)).astype(np.float32)
            self._shade = shade if mean else shade[..., None]
        self._patch = None
        if rng.random() < settings.occlude:
            width, height = rng.integers(size_px // 10, size_px // 3, 2)
            left = int(rng.integers(0, size_px - width))
            top = int(rng.integers(0, size_px - height))
            colour = rng.integers(0, 255, 3)
            self._patch = (slice(top, top + height), slice(left, left + width), colour)

    def apply(self, crop: np.ndarray) -> np.ndarray:
        """Return a changed copy of a (S, S, 3) uint8 crop; noise differs at every call.

        Returns:
            (S, S, 3) uint8, or (S, S) of the mean.
        """
        rng = self._rng
        crop = cv2.LUT(np.ascontiguousarray(crop), self._table)
        if self._patch is not None:
            rows, columns, colour = self._patch
            crop[rows, columns] = colour
        if self._mean:
            crop = channel_mean(crop)
        if self._blur > 0.2:
            crop = cv2.GaussianBlur(crop, (0, 0), self._blur)
        if self._grey and not self._mean:
            crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        flicker = 1 + self._settings.flicker * rng.normal()
        if self._shade is not None or self._noise > 0.3:
            value = crop.astype(np.float32) * np.float32(flicker)
            if self._shade is not None:
                value *= self._shade
            if self._noise > 0.3:
                noise = rng.standard_normal(crop.shape, np.float32)
                value += np.float32(self._noise) * noise
            crop = np.clip(value, 0, 255).astype(np.uint8)
        if self._quality:
            flag = [cv2.IMWRITE_JPEG_QUALITY, self._quality]
            crop = cv2.imdecode(cv2.imencode('.jpg', crop, flag)[1], cv2.IMREAD_UNCHANGED)
        return crop


def random_flow(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Draw a smooth displacement field: a small affine motion and a few local bumps.

    Args:
        rng: source of chance.
        size_px: edge of the field.

    Returns:
        (S, S, 2) float32 displacement in pixels; most of it below one pixel, some to several.
    """
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32)
    strength = float(np.exp(rng.uniform(np.log(0.1), np.log(3.0))))
    flow = np.zeros((size_px, size_px, 2), np.float32)
    unit = (np.stack([x, y], axis=-1) / size_px - 0.5) * 2
    flow += rng.normal(0, 0.6 * strength, 2).astype(np.float32)
    flow += unit @ rng.normal(0, 0.4 * strength, (2, 2)).astype(np.float32)
    for _ in range(int(rng.integers(0, 7))):
        centre = rng.uniform(0.15, 0.85, 2) * size_px
        width = rng.uniform(0.04, 0.18) * size_px
        near = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * width**2)
        push = rng.normal(0, 0.8 * strength, 2)
        # The slope stays below one half, so that the field does not fold.
        limit = 0.8 * width
        push *= min(1.0, limit / (np.linalg.norm(push) + 1e-6))
        flow += (np.exp(-near)[..., None] * push).astype(np.float32)
    return flow
