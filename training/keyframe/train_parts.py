"""Train the eye and mouth networks of the keyframe model (parts.py) on their own.

    python -m training.keyframe.train_parts --minutes 40

Their weights, runs/parts/last.ckpt, are a start for `training.keyframe.train --start`. Started
again with the same --out it goes on where it was.
"""

import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from kf_imitation.offline import layouts
from training.data import clip_cache
from training.data.clip_cache import CachedClip
from training.data.labels import smooth
from training.data.part_stream import LABEL_SIGMA_S, PartStream, footage, places_of
from training.keyframe.config import TrainConfig
from training.keyframe.fusion import normalise
from training.keyframe.measure import clip_changes
from training.keyframe.options import add_data_options
from training.keyframe.parts import (
    CROP_PX,
    EYE_PX,
    EYE_STEP,
    EYE_UP,
    FINDER_PX,
    MOUTH_PX,
    MOUTH_STEP,
    MOUTH_UP,
    Parts,
    cut_parts,
    reading_order,
    to_patch,
)
from training.landmarks.loop import average_into

# Landmarks of right eye with brow, left eye with brow in mirrored order, and mouth.
RIGHT = (60, 61, 62, 63, 64, 65, 66, 67, 96, 33, 34, 35, 36, 37, 38, 39, 40, 41)
LEFT = (72, 71, 70, 69, 68, 75, 74, 73, 97, 46, 45, 44, 43, 42, 50, 49, 48, 47)
LIPS = tuple(range(76, 96))
WARM_STEPS = 400


def losses(parts: Parts, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """Return the terms of the loss of one batch of PartStream."""
    # Levels as they are: patches are scaled after they are cut, which saves a pass over the crops.
    image = batch['crops'].flatten(0, 1).permute(0, 3, 1, 2).float()
    points, wanted = batch['points'].flatten(0, 1), batch['blendshapes']
    groups, frames = wanted.shape[:2]
    truth = places_of_tensor(points)
    found = parts.finder(scaled(F.avg_pool2d(image, CROP_PX // FINDER_PX)))
    terms = {'places': torch.log1p((found - truth).norm(dim=-1) / 0.01).mean()}
    # Patches are cut where they will be cut at run time, as soon as that is near the parts.
    places = found.detach()
    if step < WARM_STEPS:
        places = truth + 0.01 * torch.randn_like(truth)
    else:
        places = truth + (places - truth).clamp(-0.05, 0.05)
    eyes, mouth = cut_parts(image, places)
    eye, eye_features = parts.eye(scaled(eyes))
    lips, lip_features = parts.mouth(scaled(mouth))
    right, left = eye.chunk(2)
    state = torch.cat([right, left, lips], dim=1).view(groups, frames, -1)
    chosen = torch.tensor(parts_order(parts))
    error = state - wanted[..., chosen]
    same = batch['same'].float()[:, None, None]
    terms['level'] = error.square().mean()
    # Differences of all pairs of a group at once: the spread of the errors around their mean.
    apart = error - error.mean(dim=1, keepdim=True)
    terms['differ'] = (same * apart).square().mean()
    near = error[:, 1::2] - error[:, ::2]
    terms['near'] = (same * near).square().mean()
    along = F.normalize(places[:, 1] - places[:, 0], dim=1)
    eye_points = parts.eye.points(eye_features).view(2, len(image), -1, 2)
    shapes = []
    for place, index, mirror in ((0, RIGHT, False), (1, LEFT, True)):
        there = points[:, list(index)]
        want = to_patch(there, places[:, place], along, EYE_PX, EYE_STEP, EYE_UP, mirror)
        shapes.append((eye_points[place] - want).norm(dim=-1))
    lip_points = parts.mouth.points(lip_features).view(len(image), -1, 2)
    there = points[:, list(LIPS)]
    want = to_patch(there, places[:, 2], along, MOUTH_PX, MOUTH_STEP, MOUTH_UP, False)
    shapes.append((lip_points - want).norm(dim=-1))
    terms['points'] = torch.log1p(torch.cat(shapes, dim=1) / 0.02).mean()
    return terms


def scaled(levels: Tensor) -> Tensor:
    """Scale grey levels as `normalise` does."""
    return (levels * (1 / 64) - 2).contiguous(memory_format=torch.channels_last)


def places_of_tensor(points: Tensor) -> Tensor:
    """As `places_of`."""
    return torch.from_numpy(places_of(points.numpy()))


def parts_order(parts: Parts) -> list[int]:
    """Return the blendshape that each reading stands for."""
    return [int(i) for i in parts.spread.argmax(dim=1)]


WEIGHT = {'places': 0.3, 'level': 10.0, 'differ': 20.0, 'near': 100.0, 'points': 0.2}


@torch.no_grad()
def validate(parts: Parts, clips: list[CachedClip], limit: int = 200) -> dict[str, float]:
    """Return RMS(error) / RMS(truth) of changes between consecutive frames, by part."""
    parts.eval()

    def scorer(crops: np.ndarray) -> np.ndarray:
        rows = [
            parts(normalise(torch.from_numpy(crops[i : i + 32]))).numpy()
            for i in range(0, len(crops), 32)
        ]
        return np.diff(np.concatenate(rows), axis=0)

    order = parts_order(parts)
    looks = [i for i in order[:20] if order.index(i) % 10 in (3, 4, 5, 6)]
    kinds = {'eyes': order[:20], 'looks': looks, 'mouth': order[20:]}
    found: dict[str, list[float]] = {k: [] for k in kinds}
    for clip in clips:
        changes = clip_changes(clip, scorer, CROP_PX, limit)
        shapes = smooth(clip.labels.blendshapes, LABEL_SIGMA_S, clip.labels.fps)[: len(changes)]
        truth = np.diff(shapes, axis=0)
        # What the runtime's smoothing leaves.
        changes = smooth(changes[1:], 0.04, clip.labels.fps)
        truth = smooth(truth, 0.04, clip.labels.fps)
        for kind, index in kinds.items():
            error = np.square(changes[:, index] - truth[:, index]).sum()
            found[kind].append(float(np.sqrt(error / (np.square(truth[:, index]).sum() + 1e-9))))
    parts.train()
    return {k: float(np.mean(v)) for k, v in found.items()}


def main() -> None:
    """Run a training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config',
        type=Path,
        default=Path('training/keyframe/configs/lite.yaml'),
        help='hold_out of it is used',
    )
    parser.add_argument('--hold-out', nargs='*', help='clips or people, instead of those')
    add_data_options(parser)
    parser.add_argument('--out', type=Path, default=Path('runs/parts'))
    parser.add_argument('--minutes', type=float, default=40.0)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--full', action='store_true', help='no convolutions in bfloat16')
    parser.add_argument('--rate', type=float, default=2e-3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(time.time_ns() % 2**31)
    hold_out = arguments.hold_out
    if hold_out is None:
        hold_out = TrainConfig.load(arguments.config, []).hold_out
    found = layouts.find(arguments.clips, arguments.labels, labelled=True)
    clips = [clip_cache.load(clip_cache.build_clip(c, arguments.cache)) for c in found]
    held = {c.person for c in found if c.key in hold_out or c.person in hold_out}
    kept = [clip for clip, c in zip(clips, found, strict=True) if c.person not in held]
    other = [clip for clip, c in zip(clips, found, strict=True) if c.person in held]
    animated = [clip_cache.load(a) for a in sorted(arguments.animated.glob('animated_*.npy'))]
    names = clips[0].labels.names
    stream = PartStream(
        [piece for clip in kept for piece in footage(clip)],
        [piece for clip in animated for piece in footage(clip)],
        arguments.faces if arguments.faces.exists() else None,
        names,
        time.time_ns() % 2**31,
    )
    loader = iter(DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=3))

    parts = Parts(reading_order(names)).to(memory_format=torch.channels_last)
    mean = copy.deepcopy(parts).requires_grad_(False)
    parts.eye.half = parts.mouth.half = not arguments.full
    optimiser = torch.optim.AdamW(parts.parameters(), lr=arguments.rate, weight_decay=0.02)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file, step, spent = arguments.out / 'last.ckpt', 0, 0.0
    if file.exists():
        saved = torch.load(file, weights_only=False)
        parts.load_state_dict(saved['raw'])
        mean.load_state_dict({k.split('parts.')[1]: v for k, v in saved['state_dict'].items()})
        optimiser.load_state_dict(saved['optimiser'])
        step, spent = saved['step'], saved['spent_s']
    clock, sums = time.monotonic(), {}
    while spent < 60 * arguments.minutes:
        done = spent / 60 / arguments.minutes
        for group in optimiser.param_groups:
            warm = min(1.0, (step + 1) / 100)
            group['lr'] = arguments.rate * warm * (0.01 + 0.495 * (1 + math.cos(math.pi * done)))
        terms = losses(parts, next(loader), step)
        optimiser.zero_grad()
        sum(WEIGHT[k] * v for k, v in terms.items()).backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 5.0)
        optimiser.step()
        step += 1
        average_into(mean, parts, step)
        for k, v in terms.items():
            sums[k] = sums.get(k, 0.0) + float(v.detach())
        now = time.monotonic()
        spent, clock = spent + now - clock, now
        if step % 100 == 0:
            line = ' '.join(f'{k} {v / 100:.5f}' for k, v in sums.items())
            print(f'step {step} {spent / 60:.1f} min {line}', flush=True)
            sums = {}
        if step % 500 == 0 or spent >= 60 * arguments.minutes:
            torch.save(
                {
                    'state_dict': {f'mean_net.parts.{k}': v for k, v in mean.state_dict().items()},
                    'raw': parts.state_dict(),
                    'optimiser': optimiser.state_dict(),
                    'step': step,
                    'spent_s': spent,
                },
                file,
            )
            figures = validate(mean, other)
            print('VAL', ' '.join(f'{k} {v:.3f}' for k, v in figures.items()), flush=True)
            clock = time.monotonic()


if __name__ == '__main__':
    main()
