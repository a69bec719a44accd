"""Train the eye and mouth networks of the keyframe model (parts.py) on their own.

    python -m training.keyframe.train.train_parts --minutes 40

Their weights, runs/parts/last.ckpt, are a start for `training.keyframe.train.run --start`. Started
again with the same --out it goes on where it was.
"""

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from kf_imitation.errors import KfImitationError
from kf_imitation.landmarks.patches import EYE_BLENDSHAPES
from training.data.clip_cache import CachedClip
from training.data.face_states import TRAINED_SIGMA_S, smooth
from training.data.part_stream import PartStream, footage
from training.interrupt import ignore_interrupt
from training.keyframe.measure.run import clip_changes
from training.keyframe.networks import eye_mouth_mesh_points
from training.keyframe.networks.eye_mouth_networks import (
    CROP_PX,
    EYE,
    FINDER_PX,
    MESH_GAIN,
    MOUTH,
    Parts,
    cut_parts,
    direction,
    prediction_order,
)
from training.keyframe.networks.fusion import normalise, scale_levels, weights_under
from training.keyframe.train import bfloat16
from training.keyframe.train.config import TrainConfig
from training.keyframe.train.options import add_data_options, animated_photographs, labelled_clips
from training.loop import Schedule, add_length_options, average_into
from training.seeding import add_seed_option, seed_everything

PATCHES = ((EYE, False), (EYE, True), (MOUTH, False))  # of right eye, left eye, mouth: mirrored?
CORNERS = (
    eye_mouth_mesh_points.EYE_CORNERS,
    eye_mouth_mesh_points.EYE_CORNERS,
    eye_mouth_mesh_points.MOUTH_CORNERS,
)
USUAL = [torch.from_numpy(eye_mouth_mesh_points.usual_places(p)) for p in ('eye', 'eye', 'mouth')]
WARM_STEPS = 400
PREFIX = 'mean_net.parts.'  # where a keyframe network's checkpoint has them


WEIGHT = {
    'places': 0.3,
    'level': 10.0,
    'differ': 20.0,
    'near': 100.0,
    'points': 0.4,
    'points_differ': 1.0,
    'points_near': 1.0,
}
# How much predictions count that are made of the found points alone, and of the true ones.
FOUND_SHAPE, TRUE_SHAPE = 0.5, 0.5


def losses(parts: Parts, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """Return the terms of the loss of one batch of PartStream."""
    # Levels as they are: patches are scaled after they are cut, which saves a pass over the crops.
    image = batch['crops'].flatten(0, 1)[:, None].float()
    points = batch['points'].flatten(0, 1)
    wanted = batch['blendshapes'][..., parts.order]
    truth = places_of(points)
    found = parts.finder(scaled(F.avg_pool2d(image, CROP_PX // FINDER_PX)))
    terms = {'places': torch.log1p((found - truth).norm(dim=-1) / 0.01).mean()}
    # Patches are cut where they will be cut at run time, as soon as that is near the parts.
    if step < WARM_STEPS:
        places = truth + 0.01 * torch.randn_like(truth)
    else:
        places = truth + (found.detach() - truth).clamp(-0.05, 0.05)
    eyes, mouth = cut_parts(image, places)
    features = [*parts.eye.see(scaled(eyes)).chunk(2), parts.mouth.see(scaled(mouth))]
    nets = (parts.eye, parts.eye, parts.mouth)
    own = true_offsets(points, places)
    seen = [net.offsets(f) for net, f in zip(nets, features, strict=True)]
    embeddings = [net.embed(f, s) for net, f, s in zip(nets, features, seen, strict=True)]
    shapes, drawn = embeddings_of_points(parts, seen), embeddings_of_points(parts, own)
    same = batch['same'].float()[:, None, None]
    groups = wanted.shape[:2]
    for name in ('level', 'differ', 'near'):
        terms[name] = image.new_zeros(())
    for fraction, made_of in ((1.0, embeddings), (FOUND_SHAPE, shapes), (TRUE_SHAPE, drawn)):
        error = predict_from(parts, made_of).view(*groups, -1) - wanted
        apart, near = changes(error)
        terms['level'] = terms['level'] + fraction * error.square().mean()
        terms['differ'] = terms['differ'] + fraction * (same * apart).square().mean()
        terms['near'] = terms['near'] + fraction * (same * near).square().mean()
    off = torch.cat([s - o for s, o in zip(seen, own, strict=True)], dim=1)
    terms['points'] = torch.log1p(off.norm(dim=-1) / 0.02).mean()
    apart, near = changes(off.flatten(1).view(*groups, -1) / MESH_GAIN)
    terms['points_differ'] = (same * apart).square().mean()
    terms['points_near'] = (same * near).square().mean()
    return terms


def changes(error: Tensor) -> tuple[Tensor, Tensor]:
    """Of (G, 8, K) errors, those of differences within a group.

    Returns:
        Errors around the mean of the group, which stand for all pairs at once, and (G, 4, K) of
        the four near pairs.
    """
    return error - error.mean(dim=1, keepdim=True), error[:, 1::2] - error[:, ::2]


def scaled(levels: Tensor) -> Tensor:
    """Scale grey levels as `normalise` does."""
    return scale_levels(levels).contiguous(memory_format=torch.channels_last)


def places_of(points: Tensor) -> Tensor:
    """(..., P, 2) mesh points to (..., 3, 2) middles of right eye, left eye and mouth."""
    middles = [
        points[..., part, :][..., list(ends), :].mean(dim=-2)
        for part, ends in zip(eye_mouth_mesh_points.PARTS, CORNERS, strict=True)
    ]
    return torch.stack(middles, dim=-2)


def embeddings_of_points(parts: Parts, offsets: list[Tensor]) -> list[Tensor]:
    """(B, P, 2) points of right eye, left eye and mouth to (B, 96) embeddings of each."""
    nets = (parts.eye, parts.eye, parts.mouth)
    return [F.leaky_relu(n.shape_of(o), 0.1) for n, o in zip(nets, offsets, strict=True)]


def predict_from(parts: Parts, embeddings: list[Tensor]) -> Tensor:
    """(B, 96) embeddings of both eyes and mouth to (B, R) predictions, as `parts.order`."""
    nets = (parts.eye, parts.eye, parts.mouth)
    return torch.cat(
        [torch.sigmoid(n.read(n.drop(x))) for n, x in zip(nets, embeddings, strict=True)], dim=1
    )


def true_offsets(points: Tensor, places: Tensor) -> list[Tensor]:
    """(B, P, 2) true points to those of right eye, left eye and mouth as PartNet.offsets has them.

    Args:
        points: fractions of the crop.
        places: (B, 3, 2) at which the patches are cut.
    """
    along = direction(places)
    return [
        patch.locate(points[:, eye_mouth_mesh_points.PARTS[i]], places[:, i], along, mirror)
        - USUAL[i]
        for i, (patch, mirror) in enumerate(PATCHES)
    ]


@torch.no_grad()
def validate(parts: Parts, clips: list[CachedClip], limit: int = 200) -> dict[str, float]:
    """Return RMS(error) / RMS(truth) of changes between consecutive frames, by part.

    With `points` in their name those of predictions made of the teacher's own points.
    """
    parts.eval()

    def scorer(crops: np.ndarray) -> np.ndarray:
        rows = [
            parts(normalise(torch.from_numpy(crops[i : i + 32])).mean(dim=1, keepdim=True))[
                0
            ].numpy()
            for i in range(0, len(crops), 32)
        ]
        return np.diff(np.concatenate(rows), axis=0)

    eyes, mouth = parts.order[: 2 * len(EYE_BLENDSHAPES)], parts.order[2 * len(EYE_BLENDSHAPES) :]
    gaze = [i for i, n in zip(eyes, 2 * EYE_BLENDSHAPES, strict=True) if n.startswith('eyeLook')]
    kinds = {'eyes': eyes, 'gaze': gaze, 'mouth': mouth}
    found: dict[str, list[float]] = {}
    for clip in clips:
        seen = clip_changes(clip, scorer, CROP_PX, limit)[1:]
        labels, count = clip.labels, len(seen) + 1
        shapes = smooth(labels.blendshapes, TRAINED_SIGMA_S, labels.fps)[:count]
        x, y, size = np.median(clip.regions[:count], axis=0)
        points = labels.points_px[:count, eye_mouth_mesh_points.POINTS] - [
            x - size / 2,
            y - size / 2,
        ]
        points = smooth(points / size, TRAINED_SIGMA_S, labels.fps)
        true = torch.from_numpy(points.astype(np.float32))
        read = predict_from(
            parts, embeddings_of_points(parts, true_offsets(true, places_of(true)))
        )
        drawn = np.diff((read @ parts.spread)[:, : shapes.shape[1]].numpy(), axis=0)
        truth = np.diff(shapes, axis=0)
        # What the runtime's smoothing leaves.
        seen, drawn, truth = (smooth(c, 0.04, labels.fps) for c in (seen, drawn, truth))
        for kind, index in kinds.items():
            for name, found_by in ((kind, seen), (f'{kind}_points', drawn)):
                error = np.square(found_by[:, index] - truth[:, index]).sum()
                size_of = np.square(truth[:, index]).sum() + 1e-9
                found.setdefault(name, []).append(float(np.sqrt(error / size_of)))
    parts.train()
    return {k: float(np.mean(v)) for k, v in found.items()}


def main() -> None:
    """Run a training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config',
        type=Path,
        default=Path('training/keyframe/train/configs/lite.yaml'),
        help='hold_out of it is used',
    )
    parser.add_argument('--hold-out', nargs='*', help='clips or people, instead of those')
    add_data_options(parser)
    parser.add_argument('--out', type=Path, default=Path('runs/parts'))
    add_length_options(parser, minutes=40.0)
    add_seed_option(parser)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--full', action='store_true', help='no convolutions in bfloat16')
    parser.add_argument('--rate', type=float, default=2e-3)
    parser.add_argument(
        '--start', type=Path, help='checkpoint whose averaged weights to start from'
    )
    parser.add_argument(
        '--measure', type=Path, metavar='CHECKPOINT', help='only measure it; nothing is trained'
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    seed_everything(arguments.seed)
    hold_out = arguments.hold_out
    if hold_out is None:
        hold_out = TrainConfig.load(arguments.config, []).hold_out
    try:
        train, held = labelled_clips(arguments, hold_out)
    except KfImitationError as error:
        parser.exit(2, f'{error}\n')
    names = train[0].labels.names
    if arguments.measure:
        saved = torch.load(arguments.measure, map_location='cpu', weights_only=False)
        parts = Parts(prediction_order(names))
        parts.load_state_dict(weights_under(saved['state_dict'], PREFIX))
        for kind, clips in (('trained on', train), ('held out', held)):
            figures = validate(parts, clips)
            print(kind, ' '.join(f'{k} {v:.3f}' for k, v in figures.items()))
        return
    parts = Parts(prediction_order(names)).to(memory_format=torch.channels_last)
    if arguments.start:
        weights = torch.load(arguments.start, map_location='cpu', weights_only=False)
        parts.load_state_dict(weights_under(weights['state_dict'], PREFIX))
    mean = copy.deepcopy(parts).requires_grad_(False)
    parts.eye.half = parts.mouth.half = bfloat16.is_fast() and not arguments.full
    optimiser = torch.optim.AdamW(parts.parameters(), lr=arguments.rate, weight_decay=0.02)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file, schedule = arguments.out / 'last.ckpt', Schedule(arguments)
    if file.exists():
        saved = torch.load(file, weights_only=False)
        parts.load_state_dict(saved['raw'])
        mean.load_state_dict(weights_under(saved['state_dict'], PREFIX))
        optimiser.load_state_dict(saved['optimiser'])
        schedule = Schedule(arguments, saved['step'], saved['spent_s'])
    stream = PartStream(
        [piece for clip in train for piece in footage(clip)],
        [piece for clip in animated_photographs(arguments) for piece in footage(clip)],
        arguments.faces if arguments.faces.exists() else None,
        names,
        # A run that goes on must not see the same samples again.
        arguments.seed + schedule.step,
    )
    workers = {'num_workers': 1, 'prefetch_factor': 3, 'worker_init_fn': ignore_interrupt}
    loader = iter(DataLoader(stream, batch_size=None, **workers))
    sums: dict[str, float] = {}
    # However short, a run leaves a checkpoint; one that is over is not trained on.
    over = schedule.step > 0 and schedule.done >= 1
    while not over:
        schedule.set_rate(optimiser, arguments.rate, warm_steps=100, least=0.01)
        terms = losses(parts, next(loader), schedule.step)
        optimiser.zero_grad()
        torch.stack([WEIGHT[k] * v for k, v in terms.items()]).sum().backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 5.0)
        optimiser.step()
        schedule.step += 1
        average_into(mean, parts, schedule.step)
        for k, v in terms.items():
            sums[k] = sums.get(k, 0.0) + float(v.detach())
        if schedule.step % 100 == 0:
            line = ' '.join(f'{k} {v / 100:.5f}' for k, v in sums.items())
            print(f'step {schedule.step} {schedule.spent_s / 60:.1f} min {line}', flush=True)
            sums = {}
        over = schedule.done >= 1
        if schedule.step % 500 == 0 or over:
            saved = {
                'state_dict': {PREFIX + k: v for k, v in mean.state_dict().items()},
                'raw': parts.state_dict(),
                'optimiser': optimiser.state_dict(),
                'step': schedule.step,
                'spent_s': schedule.spent_s,
                'seed': arguments.seed,
            }
            torch.save(saved, file)
            begun = time.monotonic()
            figures = validate(mean, held)
            print('VAL', ' '.join(f'{k} {v:.3f}' for k, v in figures.items()), flush=True)
            schedule.pause(time.monotonic() - begun)


if __name__ == '__main__':
    main()
