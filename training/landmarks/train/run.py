"""Train PFLD on the cache of training/landmarks/train/data.py.

    nice -n 5 .venv/bin/python -m training.landmarks.train --out runs/landmarks --minutes 60

Writes last.pt (resumable with --resume), best.pt (least sum of the errors on held-out training
people) and log.csv into --out. `--paper` trains PFLD as it is published, its pose branch included,
by the loss and the optimiser of the paper (its length: `--steps 64000`).
"""

import argparse
import copy
import csv
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from kf_imitation.face_geometry.head_pose import label_angles, template
from training.interrupt import ignore_interrupt
from training.landmarks.networks.pfld import PFLD, PFLDConfig, PoseBranch
from training.landmarks.networks.published_pfld import (
    PublishedPFLD,
    PublishedPoseBranch,
    is_published,
)
from training.landmarks.train import losses
from training.landmarks.train.augment import training_crop
from training.landmarks.train.data import BLENDSHAPES, CACHE_SPAN
from training.loop import (
    Schedule,
    WeightedDraws,
    add_length_options,
    average_into,
    balanced_weights,
    held_out_people,
)
from training.seeding import add_seed_option, seed_everything

DEFAULT_CONFIG = PFLDConfig(16, 24, 3, 64, 6, 2, 3, 24, 48, 128)
Array = NDArray[np.float32]
MIRRORED = [
    BLENDSHAPES.index(name.replace('Left', '*').replace('Right', 'Left').replace('*', 'Right'))
    for name in BLENDSHAPES
]
FRACTIONS = {'clip': 0.40, 'face': 0.24, 'animated': 0.28, 'render': 0.08}
# What the paper's recipe sets: samples of a batch, learning rate, weight decay.
PAPER_BATCH, PAPER_RATE, PAPER_DECAY = 256, 1e-4, 1e-6
Item = tuple[NDArray[np.uint8], Array, Array, Array, Array, Array]


class Cache(Dataset[Item]):
    """Crops of one or more caches, cut and disturbed anew at every visit."""

    def __init__(self, folders: list[Path]) -> None:
        self.crops = [np.load(f / 'crops.npy', mmap_mode='r') for f in folders]
        labels = [dict(np.load(f / 'labels.npz')) for f in folders]
        self.points, self.angles, self.state, self.blendshapes, self.rotation, self.group = (
            np.concatenate([part[key] for part in labels])
            for key in ('points', 'angles', 'state', 'blendshapes', 'rotation', 'group')
        )
        counts = [len(c) for c in self.crops]
        self.places = [(k, i) for k, count in enumerate(counts) for i in range(count)]
        self.template = template()
        self.clean = False
        self.cover = 0.35  # how often something is put in front of a face

    def crop(self, index: int) -> NDArray[np.uint8]:
        """The cached square."""
        part, place = self.places[index]
        return np.asarray(self.crops[part][place])

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Item:
        """Crop, points, angles as the crop shows them, state, visible, blendshapes."""
        seed: int = index if self.clean else int(torch.randint(2**62, (1,)))
        rng = np.random.default_rng(seed)
        other = self.crop(int(rng.integers(len(self))))
        crop, points, mirrored, visible, turned = training_crop(
            rng, self.crop(index), self.points[index], self.template, CACHE_SPAN, other,
            clean=self.clean,
            cover=self.cover,
        )  # fmt: skip
        state, blendshapes = self.state[index].copy(), self.blendshapes[index]
        c, s = np.cos(turned), np.sin(turned)
        rotation = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) @ self.rotation[index]
        angles = label_angles(rotation).astype(np.float32)
        if mirrored:
            angles[[0, 2]] *= -1
            state[[0, 1]] = state[[1, 0]]
            blendshapes = blendshapes[MIRRORED]
        return crop, points, angles, state, visible, blendshapes

    def held_out(self) -> NDArray[np.bool_]:
        """True for the people on whom weights are chosen: every tenth, by name."""
        return held_out_people(self.group)

    def weights(self) -> NDArray[np.float64]:
        """How often a sample is drawn: people even out, rare states come up."""
        state, angles = self.state, self.angles
        blink = state[:, :2].max(1)
        rare = 1 + (blink > 0.25) + 2.0 * (blink > 0.5) + 1.5 * (state[:, 2] > 0.3)
        rare = rare + 2.0 * (np.abs(angles[:, 0]) > 0.35)
        return balanced_weights(self.group, rare, FRACTIONS)


def normalise(crops: torch.Tensor) -> torch.Tensor:
    """(B, 112, 112, 3) uint8 to (B, 3, 112, 112) float in -1..1."""
    scaled = crops.permute(0, 3, 1, 2).float() / 127.5 - 1
    return scaled.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def evaluate(
    model: PFLD | PublishedPFLD, data: Cache, indices: NDArray[np.int64]
) -> dict[str, float]:
    """Measure on undisturbed crops.

    Returns:
        NME [%], lid gap error [% of eye distance] and, where the network predicts them, error of
        the blendshapes that make channels [%] and of an angle [degrees].
    """
    model.eval()
    data.clean = True
    found: dict[str, list[torch.Tensor]] = {}
    weight = losses.READ_WEIGHT / losses.READ_WEIGHT.sum()
    for start in range(0, len(indices), 64):
        items = [data[int(i)] for i in indices[start : start + 64]]
        crops, truth, angles, _, _, blendshapes = (
            torch.from_numpy(np.stack(part)) for part in zip(*items, strict=True)
        )
        points, *_, predictions = model(normalise(crops))
        eyes = losses.inter_ocular(truth)
        lid = [
            (points[:, a] - points[:, b]).norm(dim=-1) - (truth[:, a] - truth[:, b]).norm(dim=-1)
            for a, b in ((62, 66), (70, 74))
        ]
        errors = {
            'NME %': 100 * (points - truth).norm(dim=-1).mean(1) / eyes,
            'lid gap %': 100 * torch.stack(lid, 1).abs().mean(1) / eyes,
        }
        if isinstance(model, PFLD):
            shapes = (predictions[:, :-3].sigmoid() - blendshapes).abs() * weight
            errors['blendshapes %'] = 100 * shapes.sum(1)
            errors['angles deg'] = (predictions[:, -3:] - angles).abs().mean(1).rad2deg()
        for name, values in errors.items():
            found.setdefault(name, []).append(values)
    data.clean = False
    return {name: float(torch.cat(values).mean()) for name, values in found.items()}


def our_loss(
    model: PFLD, branch: torch.nn.Module, batch: list[torch.Tensor], kind: str
) -> torch.Tensor:
    """Loss of the points (`kind`: wing or l1), their pairs and gaps, pose and expression."""
    crops, truth, angles, state, _, blendshapes = batch
    points, _, early, predictions = model(normalise(crops))
    weight = losses.class_weight(state, angles)
    weight = weight / weight.mean()
    of_point = losses.point_weight(state)
    of_kind = {'wing': losses.wing_loss, 'l1': losses.l1_loss}[kind]
    loss = of_kind(points, truth, weight, of_point)
    loss = loss + losses.pair_loss(points, truth, weight, of_point)
    loss = loss + 0.3 * losses.aperture_loss(points, truth, weight)
    loss = loss + 0.1 * (branch(early) - angles).abs().mean()
    return loss + 0.4 * losses.prediction_loss(predictions, blendshapes, angles, state)


def paper_loss(
    model: PublishedPFLD, branch: torch.nn.Module, batch: list[torch.Tensor]
) -> torch.Tensor:
    """The paper's: squared distance, weighted by the error of the pose and rarity."""
    crops, truth, angles, state, visible, _ = batch
    points, early = model(normalise(crops))
    weight = losses.class_rarity(state, angles, visible)
    weight = weight * losses.pose_weight(angles, branch(early))
    return losses.paper_loss(points, truth, weight)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cache', type=Path, nargs='+', default=[Path('data/landmarks')])
    parser.add_argument('--out', type=Path, default=Path('runs/landmarks'))
    parser.add_argument(
        '--paper',
        action='store_true',
        help='network, pose branch, loss and optimiser of PFLD as published',
    )
    parser.add_argument('--loss', choices=('wing', 'l1'), default='wing', help='without --paper')
    parser.add_argument('--batch', type=int, help='default: 64, with --paper 256')
    parser.add_argument('--rate', type=float, help='default: 2e-3, with --paper 1e-4 throughout')
    add_length_options(parser, minutes=60)
    add_seed_option(parser)
    parser.add_argument('--every', type=int, default=250, help='steps between checkpoints')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--workers', type=int, default=1)
    parser.add_argument('--resume', action='store_true')
    parser.add_argument('--start', type=Path, help='begin with the weights of this checkpoint')
    parser.add_argument('--forget-best', action='store_true', help='choose best.pt anew')
    arguments = parser.parse_args()
    paper: bool = arguments.paper
    batch_size = arguments.batch or (PAPER_BATCH if paper else 64)
    peak_rate = arguments.rate or (PAPER_RATE if paper else 2e-3)
    seed_everything(arguments.seed)
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)

    data = Cache(arguments.cache)
    held = data.held_out()
    train_index, held_index = np.flatnonzero(~held), np.flatnonzero(held)
    held_index = np.random.default_rng(0).permutation(held_index)[:400]
    saved: dict[str, Any] = {}
    if arguments.start or arguments.resume:
        file = arguments.start or arguments.out / 'last.pt'
        saved = torch.load(file, map_location='cpu', weights_only=False)
        if is_published(saved['config']) != paper:
            parser.exit(2, f'{file}: the published PFLD goes with --paper, ours without\n')
    model: PFLD | PublishedPFLD
    branch: torch.nn.Module
    if paper:
        # Published weights have one layer that the paper's table has otherwise.
        model = PublishedPFLD(**saved.get('config', {}))
        branch = PublishedPoseBranch()
    else:
        model = PFLD(DEFAULT_CONFIG, torch.from_numpy(data.template))
        branch = PoseBranch(DEFAULT_CONFIG)
    model = model.to(memory_format=torch.channels_last)
    parameters = [*model.parameters(), *branch.parameters()]
    optimiser: torch.optim.Optimizer
    if paper:
        optimiser = torch.optim.Adam(parameters, lr=peak_rate, weight_decay=PAPER_DECAY)
    else:
        optimiser = torch.optim.AdamW(parameters, lr=peak_rate, weight_decay=1e-3)
    schedule, best = Schedule(arguments), float('inf')
    # The paper averages no weights.
    average = model if paper else copy.deepcopy(model)
    if arguments.start:
        missing = model.load_state_dict(saved['average'], strict=False).missing_keys
        assert all(name.split('.')[0] in ('sure', 'read') for name in missing), missing
        branch.load_state_dict(saved['branch'])
        average.load_state_dict(model.state_dict())
    elif arguments.resume:
        model.load_state_dict(saved['model'])
        average.load_state_dict(saved['average'])
        branch.load_state_dict(saved['branch'])
        optimiser.load_state_dict(saved['optimiser'])
        schedule = Schedule(arguments, saved['step'], saved['spent'])
        best = float('inf') if arguments.forget_best else saved['best']
    # A resumed run must not see the same samples again.
    draw_seed = arguments.seed + schedule.step
    torch.manual_seed(draw_seed)
    draws = WeightedDraws(train_index, data.weights()[train_index], draw_seed)
    loader = DataLoader(
        data,
        batch_size,
        sampler=draws,
        num_workers=arguments.workers,
        persistent_workers=arguments.workers > 0,
        worker_init_fn=ignore_interrupt,
    )
    total, rate = 0.0, peak_rate
    for batch in loader:
        model.train()
        if isinstance(model, PublishedPFLD):
            loss = paper_loss(model, branch, batch)
        else:
            rate = schedule.set_rate(optimiser, peak_rate, warm_steps=200, least=0.005)
            loss = our_loss(model, branch, batch, arguments.loss)
        total += float(loss.detach())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if not paper:
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        schedule.step += 1
        average_into(average, model, schedule.step)
        over = schedule.done >= 1
        if schedule.step % arguments.every == 0 or over:
            figures = evaluate(average, data, held_index)
            step, now = schedule.step, schedule.spent_s
            value = sum(figures.values())
            best = min(best, value)
            saved = {
                'model': model.state_dict(), 'average': average.state_dict(),
                'branch': branch.state_dict(), 'optimiser': optimiser.state_dict(),
                'step': step, 'spent': now, 'best': best,
                'config': DEFAULT_CONFIG.as_dict() if isinstance(model, PFLD) else model.as_dict(),
                'template': data.template, 'nme': figures['NME %'],
                'loss': 'paper' if paper else arguments.loss,
                'seed': arguments.seed,
            }  # fmt: skip
            torch.save(saved, arguments.out / 'last.tmp')
            os.replace(arguments.out / 'last.tmp', arguments.out / 'last.pt')
            if value == best:
                torch.save(saved, arguments.out / 'best.tmp')
                os.replace(arguments.out / 'best.tmp', arguments.out / 'best.pt')
            with (arguments.out / 'log.csv').open('a', newline='', encoding='utf-8') as file:
                row = (total / arguments.every, *figures.values())
                csv.writer(file).writerow([step, round(now), *(f'{f:.4f}' for f in row)])
            measured = ' '.join(f'{name} {f:.2f}' for name, f in figures.items())
            print(f'{step} {now:.0f} s loss {total / arguments.every:.4f} held-out {measured}'
                  f' rate {rate:.1e}', flush=True)  # fmt: skip
            total = 0.0
        if over:
            break


if __name__ == '__main__':
    main()
