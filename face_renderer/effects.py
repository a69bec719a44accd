"""What lies behind, before and inside the camera: rooms, occluders, blur, noise, compression."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def background(rng: np.random.Generator, height: int, width: int) -> F32:
    """A picture (h, w, 3), linear RGB: a wall, room, shelf, leaves or lights, out of focus."""
    big = max(height, width)
    base = rng.uniform(0.03, 0.9) * (1 + rng.normal(0, 0.15, 3))
    other = rng.uniform(0.03, 0.9) * (1 + rng.normal(0, 0.2, 3))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / big
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)[..., None]
    picture = (base * (1 - ramp) + other * ramp).astype(np.float32)
    kind = rng.choice(
        ['plain', 'room', 'lights', 'cloud', 'shelf'], p=[0.2, 0.35, 0.12, 0.18, 0.15]
    )
    if kind == 'room':
        for _ in range(int(rng.integers(4, 16))):
            colour = (rng.uniform(0.02, 1.0) * (1 + rng.normal(0, 0.25, 3))).clip(0, 1.3)
            x0, y0 = rng.uniform(-0.3, 1.0, 2) * [width, height]
            w, h = rng.uniform(0.05, 0.7, 2) * [width, height]
            cv2.rectangle(
                picture, (int(x0), int(y0)), (int(x0 + w), int(y0 + h)), colour.tolist(), -1
            )
    elif kind == 'shelf':
        rows = int(rng.integers(3, 7))
        for r in range(rows):
            at = 0.0
            while at < width:
                w = rng.uniform(0.02, 0.07) * big
                colour = (rng.uniform(0.03, 0.7) * (1 + rng.normal(0, 0.4, 3))).clip(0.01, 1)
                top = (r + rng.uniform(0.05, 0.4)) * height / rows
                cv2.rectangle(
                    picture,
                    (int(at), int(top)),
                    (int(at + w), int((r + 0.95) * height / rows)),
                    colour.tolist(),
                    -1,
                )
                at += w + 1
    elif kind == 'lights':
        picture *= 0.25
        for _ in range(int(rng.integers(8, 40))):
            colour = (rng.uniform(0.3, 1.6) * (1 + rng.normal(0, 0.3, 3))).clip(0, 2)
            centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
            disc = np.zeros_like(picture)
            cv2.circle(disc, centre, int(rng.uniform(0.01, 0.07) * big) + 1, colour.tolist(), -1)
            picture += disc * rng.uniform(0.3, 0.9)
    elif kind == 'cloud':
        for octave in range(2, 7):
            small = rng.normal(0, 1, (2**octave + 2, 2**octave + 2, 3)) * [1, 1, 1]
            small = small.mean(-1, keepdims=True) * 1.2 + 0.4 * small
            layer = cv2.resize(
                small.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
            )
            picture *= np.exp(layer * 0.75 * 0.62 ** (octave - 2))
    blur = float(rng.choice([0.6, 2.0, 5.0, 10.0])) * big / 256 * rng.uniform(0.6, 1.6)
    picture = cv2.GaussianBlur(picture, (0, 0), max(blur, 0.3))
    return np.clip(picture, 0.0, 3.0).astype(np.float32)


@dataclass(frozen=True)
class CameraEffects:
    """One camera's faults; drawn once per sequence so that both frames of a pair share them.

    Attributes:
        small_px: the face is seen at this resolution and enlarged again; 0 for none.
        blur_px: defocus sigma.
        motion: (dx, dy) motion blur extent [px].
        noise: sensor noise sigma, 0..1 scale, at mid grey.
        quality: JPEG quality, 0 for none.
        gain: (3,) factor per channel (white balance).
        gamma: exponent.
        sharpen: unsharp mask amount.
    """

    small_px: int
    blur_px: float
    motion: tuple[float, float]
    noise: float
    quality: int
    gain: tuple[float, float, float]
    gamma: float
    sharpen: float

    @staticmethod
    def random(rng: np.random.Generator, size: int) -> CameraEffects:
        """Mostly decent cameras, some bad ones."""
        small = int(rng.uniform(0.25, 0.85) * size) if rng.random() < 0.35 else 0
        extent = rng.exponential(0.025) * size if rng.random() < 0.15 else 0.0
        turn = rng.uniform(0, 2 * np.pi)
        return CameraEffects(
            small_px=small,
            blur_px=float(rng.exponential(0.5)) * size / 128 if rng.random() < 0.5 else 0.0,
            motion=(float(extent * np.cos(turn)), float(extent * np.sin(turn))),
            noise=float(rng.choice([0.004, 0.01, 0.02, 0.04], p=[0.35, 0.35, 0.2, 0.1])),
            quality=int(rng.uniform(25, 95)) if rng.random() < 0.7 else 0,
            gain=tuple(float(v) for v in np.exp(rng.normal(0, 0.035, 3))),
            gamma=float(np.exp(rng.normal(0, 0.12))),
            sharpen=float(rng.uniform(0.2, 0.9)) if rng.random() < 0.3 else 0.0,
        )

    def apply(self, image: F32, rng: np.random.Generator) -> U8:
        """(h, w, 3) float 0..1 BGR to uint8 as this camera would give it."""
        height, width = image.shape[:2]
        out = np.clip(image * np.array(self.gain, np.float32), 0, 1) ** np.float32(self.gamma)
        length = float(np.hypot(*self.motion))
        if length > 1.0:
            n = int(np.ceil(length)) | 1
            kernel = np.zeros((n, n), np.float32)
            dx, dy = np.array(self.motion) / length * (n - 1) / 2
            c = (n - 1) / 2
            cv2.line(
                kernel, (round(c - dx), round(c - dy)), (round(c + dx), round(c + dy)), 1.0, 1
            )
            out = cv2.filter2D(out, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)
        if self.blur_px > 0.25:
            out = cv2.GaussianBlur(out, (0, 0), self.blur_px)
        if self.small_px:
            scale = self.small_px / max(height, width)
            out = cv2.resize(out, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        grain = rng.standard_normal(out.shape).astype(np.float32)
        grain = 0.7 * grain + 0.3 * cv2.GaussianBlur(grain, (0, 0), 1.0) * 2
        out = out + grain * (self.noise * np.sqrt(0.3 + out))
        if self.sharpen:
            out = out + self.sharpen * (out - cv2.GaussianBlur(out, (0, 0), 1.2))
        pixels = np.clip(out * 255 + 0.5, 0, 255).astype(np.uint8)
        if self.quality:
            _, data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
            pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if pixels.shape[:2] != (height, width):
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(pixels)


def h264(images: list[U8], crf: int) -> list[U8]:
    """The pictures (all h x w x 3 BGR, even sides) after H.264 at a constant rate factor."""
    import av

    buffer = io.BytesIO()
    height, width = images[0].shape[:2]
    with av.open(buffer, 'w', format='matroska') as container:
        options = {'crf': str(crf), 'preset': 'superfast', 'threads': '1', 'tune': 'zerolatency'}
        stream = container.add_stream('libx264', rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format='bgr24')
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as container:
        return [frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)]


def occlude(image: F32, landmarks: F32, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Covers part of the face with a flat thing (cup, phone, bar, microphone), in place.

    Returns:
        (n,) True where a landmark is covered.
    """
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    target = landmarks[rng.integers(len(landmarks))] + rng.normal(0, 0.08 * width, 2)
    size = rng.uniform(0.10, 0.32) * width
    if rng.random() < 0.5:
        axes = (int(size * rng.uniform(0.5, 1.0)), int(size * rng.uniform(0.3, 1.0)))
        cv2.ellipse(
            mask,
            (int(target[0]), int(target[1])),
            axes,
            float(rng.uniform(0, 180)),
            0,
            360,
            1.0,
            -1,
            cv2.LINE_AA,
        )
    else:
        box = cv2.boxPoints(
            (
                (float(target[0]), float(target[1])),
                (float(size), float(size * rng.uniform(0.4, 2.2))),
                float(rng.uniform(0, 180)),
            )
        )
        cv2.fillPoly(mask, [np.round(box).astype(np.int32)], 1.0, cv2.LINE_AA)
    colour = rng.uniform(0.02, 0.95) * (1 + rng.normal(0, 0.25, 3))
    ramp = 1 + rng.uniform(-0.5, 0.5) * (
        np.mgrid[0:height, 0:width][rng.integers(2)] / height - 0.5
    )
    paint = np.clip(ramp[..., None] * colour, 0, 1).astype(np.float32)
    image[:] = image * (1 - mask[..., None]) + paint * mask[..., None]
    x = np.clip(landmarks[:, 0], 0, width - 1).astype(int)
    y = np.clip(landmarks[:, 1], 0, height - 1).astype(int)
    return mask[y, x] > 0.5
