"""Training samples: short windows of consecutive frames, and still faces with exact flow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from kf_imitation.inference import undo
from training.data import clip_cache, face_images, face_mesh
from training.data.augment import (
    Appearance,
    AugmentSettings,
    crop_matrix,
    cut,
    random_flow,
)
from training.data.face_images import FaceImages
from training.data.face_mesh import MOTION_POINTS
from training.data.face_states import (
    TRAINED_SIGMA_S,
    mirror_order,
    mirror_rotation,
    smooth,
)


@dataclass(frozen=True)
class SampleSettings:
    """What a batch is made of.

    Attributes:
        crop_px: edge of the crops.
        still_px: edge of the crops of still faces and renders; 0: crop_px.
        windows: windows in a batch.
        frames: frames of a window; one pair less.
        stills: still faces in a batch.
        renders: rendered pairs with exact flow in a batch.
        label_sigma_s: smoothing of the labels before differences are taken [s].
        gaps: probabilities of taking every frame, every second, every third.
        reverse: probability of playing a window backwards.
        mirror: probability of exchanging left and right.
        freeze: probability of a window that repeats one frame.
        animated: probability of a window from an animated photograph (training.data.animate).
        augment: see AugmentSettings.
    """

    crop_px: int = 128
    still_px: int = 0
    windows: int = 8
    frames: int = 6
    stills: int = 12
    renders: int = 0
    label_sigma_s: float = TRAINED_SIGMA_S
    gaps: tuple[float, ...] = (0.6, 0.25, 0.15)
    reverse: float = 0.5
    mirror: float = 0.5
    freeze: float = 0.03
    animated: float = 0.0
    augment: AugmentSettings = field(default_factory=AugmentSettings)


@dataclass(frozen=True)
class Window:
    """One clip made ready for sampling."""

    clip: clip_cache.CachedClip
    state: np.ndarray
    rotation: np.ndarray
    points: np.ndarray
    usable: np.ndarray
    ends: np.ndarray

    @property
    def longest(self) -> int:
        """Frames of the longest continuous piece."""
        return max(piece.stop - piece.start for piece in self.clip.pieces())


Batch = dict[str, Tensor]


class SampleStream(IterableDataset[Batch]):
    """Endless stream of batches.

    Args:
        clips: cached clips.
        faces: folder with <split>.npz and <split>/ images, or None.
        settings: what a batch is made of.
        seed: of the stream; workers derive their own.
        renders: folder of pairs-*.npz of face_renderer.generate, or None.
        animated: cached animated photographs (training.data.animate).

    A batch holds
        crops (W, T, S, S, 3) uint8; state (W, T, 54) float32 lightly smoothed labels, rotations
        as vectors; points (W, T, P, 2) float32 landmarks MOTION_POINTS of the same smoothness in
        pixels of the crops; frame_s (W,) float32 time between two frames; and with stills
        still_now, still_before (M, s, s, 3) uint8, still_flow (M, 2, s, s) float32 and
        still_state (M, 54) float32; with renders render_now, render_before, render_flow alike and
        render_valid (R, s, s) bool.
    """

    def __init__(
        self,
        clips: list[clip_cache.CachedClip],
        faces: Path | None,
        settings: SampleSettings,
        seed: int,
        renders: Path | None = None,
        animated: Sequence[clip_cache.CachedClip] = (),
    ) -> None:
        self._windows = [prepare(clip, settings.label_sigma_s) for clip in clips]
        self._animated = [prepare(clip, settings.label_sigma_s) for clip in animated]
        some = np.concatenate([c.labels.points_px[c.labels.valid][::10] for c in clips])
        order = face_mesh.mirror_order(some, MOTION_POINTS)
        self._set_up(clips[0].labels.names, order, faces, settings, seed, renders)
        counts = np.array([len(w.state) for w in self._windows], float)
        # Long clips count more, but far less than by their length: people matter, not frames.
        self._chance = counts**0.4 / (counts**0.4).sum()

    def _set_up(
        self,
        names: tuple[str, ...],
        mirror_points: np.ndarray,
        faces: Path | None,
        settings: SampleSettings,
        seed: int,
        renders: Path | None,
    ) -> None:
        self._settings = settings
        self._renders = _load_renders(renders) if renders is not None and settings.renders else {}
        self._seed = seed
        self._mirror = mirror_order(names)
        self._mirror_points = mirror_points
        self._faces = face_images.load(faces) if faces is not None and settings.stills else None

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker = info.id if info else 0
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self._seed, worker])
        while True:
            yield self.batch(rng)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw one batch."""
        s = self._settings
        drawn = [self._window(rng) for _ in range(s.windows)]
        crops, states, points, times = zip(*drawn, strict=True)
        batch = {
            'crops': torch.from_numpy(np.stack(crops)),
            'state': torch.from_numpy(np.stack(states)),
            'points': torch.from_numpy(np.stack(points)),
            'frame_s': torch.tensor(times, dtype=torch.float32),
        }
        if self._faces is not None:
            now, before, flow, state = zip(
                *[self._still(self._faces, rng) for _ in range(s.stills)], strict=True
            )
            batch['still_now'] = torch.from_numpy(np.stack(now))
            batch['still_before'] = torch.from_numpy(np.stack(before))
            batch['still_flow'] = torch.from_numpy(np.stack(flow)).permute(0, 3, 1, 2)
            batch['still_state'] = torch.from_numpy(np.stack(state))
        if self._renders:
            now, before, flow, valid = zip(
                *[self._render(rng) for _ in range(s.renders)], strict=True
            )
            batch['render_now'] = torch.from_numpy(np.stack(now))
            batch['render_before'] = torch.from_numpy(np.stack(before))
            batch['render_flow'] = torch.from_numpy(np.stack(flow)).permute(0, 3, 1, 2)
            batch['render_valid'] = torch.from_numpy(np.stack(valid))
        return batch

    def _draw(self, rng: np.random.Generator) -> Window:
        """Choose what the next window is cut from."""
        if self._animated and rng.random() < self._settings.animated:
            return self._animated[int(rng.integers(len(self._animated)))]
        return self._windows[rng.choice(len(self._windows), p=self._chance)]

    def _window(
        self, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        s = self._settings
        window = self._draw(rng)
        gap = 1 + int(rng.choice(len(s.gaps), p=s.gaps))
        gap = max(1, min(gap, (window.longest - 1) // max(1, s.frames - 1)))
        while True:
            start = int(rng.integers(0, len(window.state) - (s.frames - 1) * gap))
            index = start + gap * np.arange(s.frames)
            whole = index[-1] < window.ends[start]
            if whole and window.usable[index[0] : index[-1] + 1].all():
                break
        if rng.random() < s.freeze:
            index[:] = index[0]
        if rng.random() < s.reverse:
            index = index[::-1]
        mirrored = rng.random() < s.mirror
        region = window.clip.regions[index[s.frames // 2]]
        matrix, angle = crop_matrix(region, s.crop_px, rng, s.augment, mirrored)
        appearance = Appearance(rng, s.augment, s.crop_px)
        crops = np.stack(
            [appearance.apply(cut(window.clip.frames[i], matrix, s.crop_px)) for i in index]
        )
        state = self._turned(window.state[index], window.rotation[index], angle, mirrored)
        # The matrix leads from the crop to the image; its mirroring is undone point by point.
        points = undo(matrix, window.points[index])
        if mirrored:
            points = points[:, self._mirror_points]
        return crops, state, points.astype(np.float32), gap / window.clip.labels.fps

    def _still(self, faces: FaceImages, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        s = self._settings
        size = s.still_px or s.crop_px
        i = int(rng.integers(len(faces.images)))
        mirrored = rng.random() < s.mirror
        matrix, angle = crop_matrix(faces.regions[i], size, rng, s.augment, mirrored)
        flow = random_flow(rng, size)
        image = faces.images[i]
        before = cut(image, matrix, size)
        # now(x) = before(x + flow(x)), both sampled from the image: the flow is exact.
        y, x = np.mgrid[0:size, 0:size].astype(np.float32)
        place = np.stack([x, y], axis=-1) + flow
        place = (place @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        now = cv2.remap(image, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        appearance = Appearance(rng, s.augment, size)
        labels = faces.labels
        matrices = Rotation.from_rotvec(labels.rotation[i : i + 1]).as_matrix()
        state = self._turned(labels.blendshapes[i : i + 1], matrices, angle, mirrored)
        return appearance.apply(now), appearance.apply(before), flow, state[0]

    def _render(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Draw a rendered pair; its flow leads from `image` to `next_image`."""
        data, s = self._renders, self._settings
        i = int(rng.integers(len(data['image'])))
        now, before = data['image'][i], data['next_image'][i]
        flow, valid = data['flow'][i].astype(np.float32), data['flow_valid'][i] > 0
        if rng.random() < s.mirror:
            now, before, valid = now[:, ::-1], before[:, ::-1], valid[:, ::-1]
            flow = flow[:, ::-1] * np.array([-1, 1], np.float32)
        appearance = Appearance(rng, s.augment, s.still_px or s.crop_px)
        return (
            appearance.apply(now),
            appearance.apply(before),
            np.ascontiguousarray(flow),
            valid.copy(),
        )

    def _turned(
        self, blendshapes: np.ndarray, rotation: np.ndarray, angle: float, mirrored: bool
    ) -> np.ndarray:
        """Join (n, 51) blendshapes and (n, 3, 3) rotations after turning and mirroring."""
        about_z = Rotation.from_rotvec([0, 0, angle]).as_matrix()
        vectors = Rotation.from_matrix(about_z @ rotation).as_rotvec()
        if mirrored:
            blendshapes = blendshapes[:, self._mirror]
            vectors = mirror_rotation(vectors)
        return np.concatenate([blendshapes, vectors], axis=1).astype(np.float32)


def prepare(clip: clip_cache.CachedClip, sigma_s: float) -> Window:
    """Smooth the labels of a clip, piece by piece."""
    labels = clip.labels
    count = len(labels.valid)
    points = labels.points_px[:, MOTION_POINTS].reshape(count, -1)
    values = np.concatenate([labels.blendshapes, labels.rotation, points], axis=1)
    ends = np.zeros(count, int)
    for piece in clip.pieces():
        values[piece] = smooth(values[piece], sigma_s, labels.fps)
        ends[piece] = piece.stop
    shapes = labels.blendshapes.shape[1]
    state, rotation, points = np.split(values, [shapes, shapes + 3], axis=1)
    matrices = Rotation.from_rotvec(rotation).as_matrix()
    return Window(clip, state, matrices, points.reshape(count, -1, 2), labels.valid, ends)


def _load_renders(folder: Path) -> dict[str, np.ndarray]:
    keys = ('image', 'next_image', 'flow', 'flow_valid')
    parts: dict[str, list[np.ndarray]] = {key: [] for key in keys}
    for shard in sorted(folder.glob('pairs-*.npz')):
        with np.load(shard) as data:
            for key in keys:
                parts[key].append(data[key])
    return {key: np.concatenate(value) for key, value in parts.items() if value}
