"""Train the eye model on the cache of training/landmarks/train/eye_data.py and export it.

    .venv/bin/python -m training.landmarks.train.eyes --minutes 20

Writes runs/eyes/last.pt (averaged weights) and log.csv; training/landmarks/export/run.py takes it.
"""

import argparse
import copy
import csv
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from kf_imitation.landmarks.patches import PATCH_PX
from training.interrupt import ignore_interrupt
from training.landmarks.networks.eye_model import EyeNet, normalise
from training.landmarks.train.data import apply
from training.landmarks.train.eye_data import PREDICTIONS, ROOM_PX
from training.loop import (
    Schedule,
    WeightedDraws,
    add_length_options,
    average_into,
    balanced_weights,
    held_out_people,
)
from training.seeding import add_seed_option, seed_everything

Array = NDArray[np.float32]
Item = tuple[NDArray[np.uint8], Array, Array, Array]
WEIGHT = torch.tensor([4.0, 1.0, 0.5, 1.5, 1.5, 1.5, 1.5])
LIDS = ((1, 7), (2, 6), (3, 5))
FRACTIONS = {'clip': 0.42, 'face': 0.25, 'animated': 0.25, 'render': 0.08}


class Patches(Dataset[Item]):
    """Patches, cut and disturbed anew at every visit."""

    def __init__(self, folder: Path) -> None:
        self.patches = np.load(folder / 'patches.npy', mmap_mode='r')
        labels = np.load(folder / 'labels.npz')
        self.points, self.predictions = labels['points'], labels['predictions']
        self.group = labels['group']
        self.clean = False

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, index: int) -> Item:
        """Patch, points [px], predictions, 1 for footage or 0 for renders."""
        rng = np.random.default_rng(index if self.clean else int(torch.randint(2**62, (1,))))
        noise = 0.6 if self.clean else 1.0
        scale = float(np.exp(rng.normal(0, 0.06 * noise)))
        angle = rng.normal(0, np.radians(5 * noise))
        centre = (np.array(ROOM_PX) - 1) / 2 + rng.normal(0, (4.0 * noise, 3.0 * noise))
        linear = scale * np.array([[np.cos(angle), -np.sin(angle)],
                                   [np.sin(angle), np.cos(angle)]])  # fmt: skip
        middle = (np.array(PATCH_PX) - 1) / 2
        matrix = np.hstack([linear, (middle - linear @ centre)[:, None]])
        cached = np.asarray(self.patches[index])
        patch = cv2.warpAffine(cached, matrix, PATCH_PX, borderMode=cv2.BORDER_REPLICATE)
        points = apply(matrix.astype(np.float32), self.points[index])
        if not self.clean:
            patch = disturb(rng, patch)
        footage = np.array([not str(self.group[index]).startswith('render:')], np.float32)
        return patch, points, self.predictions[index], footage

    def held_out(self) -> NDArray[np.bool_]:
        """True for the people on whom settings are chosen: every tenth of clips and images."""
        return held_out_people(self.group)

    def weights(self) -> NDArray[np.float64]:
        """How often a patch is drawn: people even out, closing lids and glances aside come up."""
        blink, gaze = self.predictions[:, 0], self.predictions[:, 3:].max(1)
        rare = 1 + 1.5 * (blink > 0.25) + 2.5 * (blink > 0.5) + 1.0 * (gaze > 0.5)
        return balanced_weights(self.group, rare, FRACTIONS)


def disturb(rng: np.random.Generator, patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Light, colour, low resolution, blur, noise, a glint or a rim of glasses."""
    levels = np.arange(256, dtype=np.float32)
    curve = 255 * (levels / 255) ** rng.uniform(0.55, 1.7)
    tint = rng.normal(1, 0.07, 3) * rng.uniform(0.6, 1.3)
    table = np.clip(curve[:, None] * tint + rng.uniform(-30, 30), 0, 255).astype(np.uint8)
    patch = cv2.LUT(patch, table[None])
    if rng.random() < 0.25:
        patch = cv2.cvtColor(cv2.cvtColor(patch, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.35:
        shrink = rng.uniform(0.25, 0.8)
        small = cv2.resize(patch, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        patch = cv2.resize(small, PATCH_PX, interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.2:
        patch = cv2.GaussianBlur(patch, (0, 0), rng.uniform(0.5, 2.2))
    if rng.random() < 0.12:
        colour = tuple(float(v) for v in rng.uniform(0, 255, 3))
        ends = rng.uniform(-0.1, 1.1, (2, 2)) * PATCH_PX
        start, end = (tuple(int(v) for v in e) for e in ends)
        cv2.line(patch, start, end, colour, int(rng.integers(1, 5)), cv2.LINE_AA)
    if rng.random() < 0.25:
        noise = rng.standard_normal(patch.shape, np.float32) * np.float32(rng.uniform(2, 14))
        patch = np.clip(patch + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        quality = int(rng.uniform(20, 75))
        patch = cv2.imdecode(cv2.imencode('.jpg', patch, [1, quality])[1], cv2.IMREAD_COLOR)
    return patch


def eye_loss(
    points: Tensor, predictions: Tensor, truth: Tensor, wanted: Tensor, footage: Tensor
) -> Tensor:
    """Points and lid gaps in fractions of the eye's width, predictions as soft targets.

    Renders count fully for points and a quarter for predictions.
    """
    width = (truth[:, 0] - truth[:, 4]).norm(dim=-1).clamp(min=12.0)[:, None]
    error = (points - truth).norm(dim=-1) / width
    place = torch.log1p(error / 0.03).mean()
    a, b = torch.tensor(LIDS).T
    gaps = (points[:, a] - points[:, b] + 1e-4).norm(dim=-1)
    gaps = gaps - (truth[:, a] - truth[:, b]).norm(dim=-1)
    target = wanted.clamp(1e-4, 1 - 1e-4)
    cross = nn.functional.binary_cross_entropy_with_logits(predictions, target, reduction='none')
    entropy = -(target * target.log() + (1 - target) * (1 - target).log())
    shape = ((cross - entropy) * WEIGHT * (0.25 + 0.75 * footage)).mean()
    return 0.2 * place + (gaps.abs() / width).mean() + shape


@torch.no_grad()
def evaluate(model: EyeNet, data: Patches, indices: NDArray[np.int64]) -> tuple[float, ...]:
    """Point error and lid gap error [% of the eye's width]; correlation with blink and gaze."""
    model.eval()
    data.clean = True
    seen, wanted, errors, gaps = [], [], [], []
    for start in range(0, len(indices), 128):
        items = [data[int(i)] for i in indices[start : start + 128]]
        points, predictions = model(normalise(torch.from_numpy(np.stack([i[0] for i in items]))))
        truth = torch.from_numpy(np.stack([i[1] for i in items]))
        width = (truth[:, 0] - truth[:, 4]).norm(dim=-1).clamp(min=12.0)[:, None]
        errors.append(((points - truth).norm(dim=-1) / width).mean(1))
        gap = (points[:, 2] - points[:, 6]).norm(dim=-1)
        gaps.append((gap - (truth[:, 2] - truth[:, 6]).norm(dim=-1)).abs() / width[:, 0])
        seen.append(predictions.sigmoid())
        wanted.append(torch.from_numpy(np.stack([i[2] for i in items])))
    data.clean = False
    a, b = torch.cat(seen).numpy(), torch.cat(wanted).numpy()
    fits = [float(np.corrcoef(a[:, k], b[:, k])[0, 1]) for k in range(len(PREDICTIONS))]
    return 100 * float(torch.cat(errors).mean()), 100 * float(torch.cat(gaps).mean()), *fits


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--cache', type=Path, default=Path('data/eyes'))
    parser.add_argument('--out', type=Path, default=Path('runs/eyes'))
    add_length_options(parser, minutes=20)
    add_seed_option(parser)
    parser.add_argument('--start', type=Path, help='begin with the weights of this checkpoint')
    parser.add_argument('--rate', type=float, default=3e-3)
    parser.add_argument('--batch', type=int, default=128)
    parser.add_argument('--every', type=int, default=250)
    parser.add_argument('--threads', type=int, default=1)
    arguments = parser.parse_args()
    seed_everything(arguments.seed)
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    data = Patches(arguments.cache)
    held = data.held_out()
    train_index = np.flatnonzero(~held)
    held_index = np.random.default_rng(0).permutation(np.flatnonzero(held))[:1500]
    room = (np.array(ROOM_PX) - PATCH_PX) / 2
    mean = torch.from_numpy((data.points.mean(0) - room).astype(np.float32))
    model = EyeNet(mean).to(memory_format=torch.channels_last)
    if arguments.start:
        saved = torch.load(arguments.start, map_location='cpu', weights_only=False)
        model.load_state_dict(saved['average'])
    average = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=0.02)
    draws = WeightedDraws(train_index, data.weights()[train_index], arguments.seed)
    loader = DataLoader(
        data, arguments.batch, sampler=draws, num_workers=1, worker_init_fn=ignore_interrupt
    )
    schedule, total = Schedule(arguments), 0.0
    for patches, truth, wanted, footage in loader:
        rate = schedule.set_rate(optimiser, arguments.rate, warm_steps=200, least=0.003)
        model.train()
        points, predictions = model(normalise(patches))
        loss = eye_loss(points, predictions, truth, wanted, footage)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        total += float(loss.detach())
        schedule.step += 1
        average_into(average, model, schedule.step)
        over = schedule.done >= 1
        if schedule.step % arguments.every == 0 or over:
            figures = evaluate(average, data, held_index)
            row = [schedule.step, round(schedule.spent_s), f'{total / arguments.every:.4f}']
            row += [f'{f:.3f}' for f in figures]
            with (arguments.out / 'log.csv').open('a', newline='', encoding='utf-8') as file:
                csv.writer(file).writerow(row)
            print(*row, f'rate {rate:.1e}', flush=True)
            saved = {
                'average': average.state_dict(),
                'figures': figures,
                'step': schedule.step,
                'seed': arguments.seed,
            }
            torch.save(saved, arguments.out / 'last.pt')
            total = 0.0
        if over:
            break


if __name__ == '__main__':
    main()
