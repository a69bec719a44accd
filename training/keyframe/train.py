"""Train the keyframe network.

`python -m training.keyframe.train --config training/keyframe/configs/default.yaml`

Reads from top to bottom: configuration, the step (forward, losses), validation on people held
out of the training set, and the run with checkpoints. Started again with the same --out it goes
on where it was.
"""

import argparse
import copy
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from kf_imitation.errors import KfImitationError
from kf_imitation.offline import layouts
from training.data import clip_cache
from training.data.augment import AugmentSettings
from training.data.face_mesh import MOTION_POINTS
from training.data.labels import REFERENCE_FPS, target_score
from training.data.windows import Batch, SampleSettings, SampleStream
from training.keyframe.fastflownet import pool
from training.keyframe.flow_losses import census_loss, smoothness_loss, visible
from training.keyframe.fusion import HIDDEN, FrameState, KeyframeNet, change_size, grow, normalise
from training.keyframe.losses import (
    endpoint_loss,
    photometric_loss,
    point_loss,
    score_of,
    time_kernel,
    vector_loss,
)
from training.keyframe.measure import clip_changes, figures, mean_figures, smoothed_score

OCCLUSION = ('none', 'forward_backward')
SIGMA_S = 0.05
REACH_S = 0.1


@dataclass
class TrainConfig:
    """What the YAML files of configs/ hold.

    Attributes:
        network: arguments of KeyframeNet.
        data: fields of SampleSettings; `augment` holds fields of AugmentSettings.
        hold_out: stems of the training clips kept for validation.
        loss: weights of the joint loss; a term of weight 0 is not computed.
        optimiser: kind (adamw, sgd), rate, weight_decay, warmup_steps, clip, schedule (cosine,
            constant).
        ema: decay of the averaged weights that are validated and exported; 0 for none.
        max_steps: length of the run; or
        max_epochs: the same in passes over the training frames.
        validate_every: steps.
        print_every: steps.
        half: convolutions in bfloat16 where precision allows it.
        seed: of weights and samples.
        flow_scales: finest flows that the losses without truth look at (ssim, census, smoothness).
        flow_every: they look at every so many pairs of a batch.
        occlusion: none; or forward_backward, which leaves out what the previous frame hides.
    """

    network: dict[str, Any]
    data: dict[str, Any]
    loss: dict[str, float]
    optimiser: dict[str, Any]
    hold_out: list[str] = field(default_factory=list)
    ema: float = 0.998
    max_steps: int | None = None
    max_epochs: int | None = None
    validate_every: int = 300
    print_every: int = 50
    half: bool = True
    seed: int = 1
    flow_scales: int = 3
    flow_every: int = 2
    occlusion: str = 'none'

    def __post_init__(self) -> None:
        if self.occlusion not in OCCLUSION:
            raise ValueError(f'occlusion = {self.occlusion!r} must be one of {OCCLUSION}')

    @classmethod
    def load(cls, path: Path, overrides: list[str] = ()) -> 'TrainConfig':  # type: ignore[assignment]
        """Read a YAML file; overrides like `optimiser.rate=0.001` win."""
        raw = yaml.safe_load(path.read_text())
        for item in overrides:
            key, _, value = item.partition('=')
            target = raw
            *parents, last = key.split('.')
            for parent in parents:
                target = target[parent]
            target[last] = yaml.safe_load(value)
        return cls(**raw)

    def samples(self) -> SampleSettings:
        """Return the typed sample settings."""
        data = dict(self.data)
        data['augment'] = AugmentSettings(**data.get('augment', {}))
        if 'gaps' in data:
            data['gaps'] = tuple(data['gaps'])
        return SampleSettings(**data)


class KeyframeTraining(pl.LightningModule):
    """The training step and validation of one network."""

    def __init__(self, config: TrainConfig, steps: int, minutes: float = 0.0) -> None:
        """Make the network.

        Args:
            config: of the run.
            steps: length of the run, for the learning rate.
            minutes: if not 0, the learning rate follows this wall-clock budget instead, which
                suits a machine whose speed nobody can promise.
        """
        super().__init__()
        self.config = config
        self.steps, self.minutes = steps, minutes
        self.net = KeyframeNet(**config.network).to(memory_format=torch.channels_last)
        self.mean_net = copy.deepcopy(self.net).requires_grad_(False)
        # Where the points of the skin went: dense evidence for motion, in training only.
        self.point_head = nn.Linear(HIDDEN, 2 * len(MOTION_POINTS))
        self.validation: list[clip_cache.CachedClip] = []
        self.spent_s = 0.0
        self._clock = time.monotonic()
        self.terms: dict[str, list[float]] = {}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted terms of the joint loss."""
        weight, half = self.config.loss, self.config.half
        crops = batch['crops']
        windows, frames = crops.shape[:2]
        now = torch.arange(windows * frames).view(windows, frames)[:, 1:].reshape(-1)
        image = normalise(crops.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        stills = len(batch['still_now']) if 'still_now' in batch else 0
        seen = image
        if stills:
            seen = torch.cat([image, normalise(batch['still_now'])])
            seen = seen.contiguous(memory_format=torch.channels_last)
        state, places = self.net.see(seen, half)
        result = self.net.compare(
            state.select(now), [p[now] for p in places], state.select(now - 1), half
        )

        truth = batch['state'].diff(dim=1)
        change = result.change.view(windows, frames - 1, -1)
        terms: dict[str, Tensor] = {}
        if weight['vector']:
            terms['vector'] = vector_loss(change, truth, rotation=weight.get('rotation', 4.0))
        if weight['window']:
            kernel = time_kernel(frames - 1, batch['frame_s'], SIGMA_S, REACH_S)
            rate = (1 / (REFERENCE_FPS * batch['frame_s']))[:, None]
            smooth = score_of(rate * change_size(kernel @ change))
            wanted = score_of(rate * change_size(kernel @ truth))
            terms['window'] = (smooth - wanted).square().mean()
        if weight.get('points'):
            moved = self.point_head(result.features).view(windows, frames - 1, -1, 2)
            terms['points'] = point_loss(moved, batch['points'].diff(dim=1))
        if weight['score']:
            wanted = score_of(change_size(truth)).view(-1)
            terms['score'] = (torch.sigmoid(result.score_logit) - wanted).square().mean()
        if result.flows:
            terms |= self._flow_terms(image, now, state, result.flows)
        if weight['endpoint'] and result.flows and (stills or 'render_now' in batch):
            last = torch.arange(windows * frames, windows * frames + stills)
            terms['endpoint'] = self._endpoint(batch, state.select(last))
        if weight['expression'] and self.net.use_places:
            labels = batch['state'].flatten(0, 1)
            if stills:
                labels = torch.cat([labels, batch['still_state']])
            terms['expression'] = (state.expression - labels).square().sum(-1).mean()
        return terms

    def _flow_terms(
        self, image: Tensor, now: Tensor, state: FrameState, flows: list[Tensor]
    ) -> dict[str, Tensor]:
        """Return the losses of flow that need no truth."""
        weight, some = self.config.loss, slice(None, None, self.config.flow_every)
        flows = [f[some] for f in flows[: self.config.flow_scales]]
        current, previous = image[now][some], image[now - 1][some]
        seen = None
        if self.config.occlusion == 'forward_backward':
            with torch.no_grad():
                a, b = state.select(now[some]), state.select(now[some] - 1)
                levels = pool(a.stride4, a.stride8), pool(b.stride4, b.stride8)
                back, _ = self.net.flow_net.match(levels[1], levels[0], self.config.half)
                seen = [
                    visible(f, r, image.shape[-1] / f.shape[-1])
                    for f, r in zip(flows, back, strict=False)
                ]
        terms: dict[str, Tensor] = {}
        if weight.get('ssim'):
            terms['ssim'] = photometric_loss(current, previous, flows, seen)
        if weight.get('census'):
            terms['census'] = census_loss(current, previous, flows, seen)
        if weight.get('smoothness'):
            terms['smoothness'] = smoothness_loss(current, flows)
        return terms

    def _endpoint(self, batch: Batch, stills: FrameState) -> Tensor:
        """Compare the flow of warped stills and of renders with the exact one."""
        now, before = [pool(stills.stride4, stills.stride8)], []
        exact, valid = [], []
        for kind in ('still', 'render'):
            if f'{kind}_now' not in batch:
                continue
            if kind == 'render':
                image = normalise(batch['render_now'])
                now.append(pool(*self.net.flow_net.pyramid(image)))
            image = normalise(batch[f'{kind}_before'])
            before.append(pool(*self.net.flow_net.pyramid(image)))
            flow = batch[f'{kind}_flow']
            exact.append(flow)
            valid.append(batch.get(f'{kind}_valid', torch.ones_like(flow[:, 0])).float())
        levels = [torch.cat(parts) for parts in zip(*now, strict=True)]
        others = [torch.cat(parts) for parts in zip(*before, strict=True)]
        flows, _ = self.net.flow_net.match(levels, others, self.config.half)
        return endpoint_loss(flows, torch.cat(exact), torch.cat(valid))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Joint multi-task loss: a linear combination of the terms."""
        terms = self.losses(batch)
        for name, value in terms.items():
            self.terms.setdefault(name, []).append(float(value.detach()))
        if self.global_step % self.config.print_every == 0:
            line = ' '.join(f'{k} {np.mean(v):.4f}' for k, v in self.terms.items())
            rate = self.trainer.optimizers[0].param_groups[0]['lr']
            print(
                f'step {self.global_step} {self.spent_s / 60:.1f} min rate {rate:.2e} {line}',
                flush=True,
            )
            self._write({k: float(np.mean(v)) for k, v in self.terms.items()} | {'rate': rate})
            self.terms = {}
        total = [self.config.loss[name] * value for name, value in terms.items()]
        return torch.stack(total).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimiser of the configuration."""
        o = self.config.optimiser
        if o['kind'] == 'sgd':
            return torch.optim.SGD(
                self.net.parameters(), lr=o['rate'], weight_decay=o['weight_decay']
            )
        return torch.optim.AdamW(
            self.net.parameters(), lr=o['rate'], weight_decay=o['weight_decay'], fused=True
        )

    def progress(self) -> float:
        """Return how much of the run is done, 0..1."""
        if self.minutes:
            return min(1.0, self.spent_s / 60 / self.minutes)
        return min(1.0, self.global_step / max(1, self.steps))

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Set the learning rate; end a run that has used up its time."""
        o = self.config.optimiser
        scale = min(1.0, (self.global_step + 1) / max(1, o['warmup_steps']))
        if o['schedule'] == 'cosine':
            scale *= 0.5 * (1 + math.cos(math.pi * self.progress())) * 0.99 + 0.01
        for group in self.trainer.optimizers[0].param_groups:
            group['lr'] = o['rate'] * scale
        if self.minutes and self.progress() >= 1:
            self.trainer.should_stop = True

    def on_train_batch_end(self, outputs: Any, batch: Batch, index: int) -> None:
        """Average the weights and validate now and then."""
        now = time.monotonic()
        self.spent_s += min(60.0, now - self._clock)
        self._clock = now
        if self.trainer.world_size > 1:
            self._agree()
        decay = min(self.config.ema, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            mean = list(self.mean_net.parameters())
            if self.config.ema:
                torch._foreach_lerp_(mean, list(self.net.parameters()), 1 - decay)
            else:
                torch._foreach_copy_(mean, list(self.net.parameters()))
            for a, b in zip(self.mean_net.buffers(), self.net.buffers(), strict=True):
                if a.is_floating_point() and self.config.ema:
                    a.lerp_(b, 1 - decay)
                else:
                    a.copy_(b)
        if self.global_step and self.global_step % self.config.validate_every == 0:
            # All processes have the same weights; one measures, the others wait for it.
            if self.trainer.is_global_zero:
                self.validate()
            self.trainer.strategy.barrier()

    def _agree(self) -> None:
        """Give all processes the same batch statistics and the same clock.

        Gradients are averaged by the launcher's strategy; what else steers a run, the averaged
        weights and the moment it ends, would drift apart.
        """
        floats = [b for b in self.net.buffers() if b.is_floating_point()]
        clock = torch.tensor([self.spent_s], dtype=torch.float32, device=self.device)
        flat = torch.cat([*(b.flatten() for b in floats), clock])
        flat = self.trainer.strategy.reduce(flat, reduce_op='mean')
        self.spent_s = float(flat[-1])
        parts = flat[:-1].split([b.numel() for b in floats])
        for buffer, part in zip(floats, parts, strict=True):
            buffer.copy_(part.view_as(buffer))

    def _write(self, values: dict[str, float]) -> None:
        """Add a point to the curves."""
        for logger in self.loggers:
            logger.log_metrics(values, self.global_step)

    def validate(self) -> dict[str, float]:
        """Measure the averaged weights on the held-out people."""
        start = time.monotonic()
        means = measure_net(self.mean_net, self.validation, self.config.samples().crop_px)
        if self.trainer.training:
            self._write({f'val_{k}': v for k, v in means.items()})
        line = ' '.join(f'{k} {v:.3f}' for k, v in means.items())
        print(f'VAL step {self.global_step} {line} ({time.monotonic() - start:.0f} s)', flush=True)
        self._clock = time.monotonic()
        return means

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the time spent beside the weights."""
        checkpoint['spent_s'] = self.spent_s
        checkpoint['network'] = self.config.network

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the time spent."""
        self.spent_s = checkpoint['spent_s']


def measure_net(
    net: KeyframeNet, clips: list[clip_cache.CachedClip], crop_px: int, limit: int = 150
) -> dict[str, float]:
    """Return the mean metrics of a network on clips, smoothed as at run time."""
    was_training = net.training
    net.eval()
    device = next(net.parameters()).device

    @torch.no_grad()
    def scorer(crops: np.ndarray) -> np.ndarray:
        rows = []
        for start in range(0, max(1, len(crops) - 1), 40):
            part = normalise(torch.from_numpy(crops[start : start + 41]).to(device))
            state, places = net.see(part.contiguous(memory_format=torch.channels_last))
            now = torch.arange(1, len(part))
            pair = net.compare(state.select(now), [p[now] for p in places], state.select(now - 1))
            rows.append(pair.change.cpu().numpy())
        return np.concatenate(rows)

    found = []
    for clip in clips:
        changes = clip_changes(clip, scorer, crop_px, limit)
        score = smoothed_score(changes, clip.labels.fps)
        found.append(figures(score, target_score(clip.labels)[: len(score)], clip.labels.fps, 0.1))
    net.train(was_training)
    return mean_figures(found)


def _under(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def main() -> None:
    """Run a training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config', type=Path, default=Path('training/keyframe/configs/default.yaml')
    )
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/train'))
    parser.add_argument('--labels', type=Path, help='label files, mirroring --clips')
    parser.add_argument('--faces', type=Path, default=Path('../shared/data/faces/train.npz'))
    parser.add_argument('--renders', type=Path, default=Path('data/renders/pairs'))
    parser.add_argument('--animated', type=Path, default=Path('data/animated'))
    parser.add_argument('--cache', type=Path, default=Path('data/clips'))
    parser.add_argument('--out', type=Path, default=Path('runs/keyframe_default'))
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--minutes', type=float, default=0.0, help='wall-clock budget of the run')
    parser.add_argument(
        '--start',
        type=Path,
        nargs='+',
        default=[],
        help='checkpoints whose averaged weights to start from; where they overlap the last wins',
    )
    parser.add_argument('--devices', default='auto', help='processes or GPUs, as in Lightning')
    parser.add_argument('--accelerator', default='auto', help='cpu, gpu, as in Lightning')
    parser.add_argument(
        '--set', nargs='*', default=[], help='overrides, like optimiser.rate=0.001'
    )
    arguments = parser.parse_args()

    config = TrainConfig.load(arguments.config, arguments.set)
    torch.set_num_threads(arguments.threads)
    pl.seed_everything(config.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / 'config.json').write_text(json.dumps(config.__dict__, indent=1))
    try:
        found = layouts.find(arguments.clips, arguments.labels, labelled=True)
    except KfImitationError as error:
        parser.exit(2, f'{error}\n')
    clips = [clip_cache.load(clip_cache.build_clip(clip, arguments.cache)) for clip in found]
    # Clips are named by stem (or key, in a data set's layout); a person is held out as a whole.
    held = {c.person for c in found if c.key in config.hold_out or c.person in config.hold_out}
    kept = {c.key for c in found if c.person not in held}
    train = [c for c in clips if c.stem in kept]
    if not train:
        parser.exit(2, f'{arguments.clips}: hold_out leaves no clip to train on\n')
    samples = config.samples()
    pairs = sum(len(c.frames) - 1 for c in train)
    epoch = max(1, pairs // (samples.windows * (samples.frames - 1)))
    steps = config.max_steps or epoch * (config.max_epochs or 1)
    faces = arguments.faces if arguments.faces.exists() else None

    resume = arguments.out / 'last.ckpt'
    # A resumed run must not see the same samples again.
    seed = config.seed + (int(resume.stat().st_mtime) if resume.exists() else 0)
    renders = arguments.renders if arguments.renders.exists() else None
    animated = [clip_cache.load(a) for a in sorted(arguments.animated.glob('animated_*.npy'))]
    devices = arguments.devices if arguments.devices == 'auto' else int(arguments.devices)
    if devices == 'auto' and not torch.cuda.is_available():
        devices = 1
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator=arguments.accelerator,
        devices=devices,
        # Terms of weight 0 leave parts of the network without a gradient.
        strategy='auto' if devices == 1 else 'ddp_find_unused_parameters_true',
        gradient_clip_val=config.optimiser['clip'] or None,
        callbacks=[
            ModelCheckpoint(
                dirpath=arguments.out, save_last=True, save_top_k=0, every_n_train_steps=100
            )
        ],
        logger=[
            CSVLogger(arguments.out, name='log'),
            TensorBoardLogger(arguments.out, name='tensorboard'),
        ],
        enable_progress_bar=False,
        log_every_n_steps=50,
        use_distributed_sampler=False,
    )
    # Every process draws other samples.
    seed += 1_000_003 * trainer.global_rank
    stream = SampleStream(train, faces, samples, seed, renders, animated)
    loader = DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=3)
    task = KeyframeTraining(config, steps, arguments.minutes)
    task.validation = [c for c in clips if c.stem not in kept]
    for checkpoint in arguments.start:
        weights = torch.load(checkpoint, map_location='cpu', weights_only=False)['state_dict']
        grow(task.net, _under(weights, 'mean_net.'))
        grow(task.point_head, _under(weights, 'point_head.'))
        task.mean_net.load_state_dict(task.net.state_dict())
    print(f'{len(train)} clips, {pairs} pairs, {steps} steps of {epoch} an epoch', flush=True)
    trainer.fit(task, loader, ckpt_path=str(resume) if resume.exists() else None)
    trainer.save_checkpoint(resume)
    if task.validation and trainer.is_global_zero:
        task.validate()


if __name__ == '__main__':
    main()
