"""The training step, losses and schedule of the keyframe network, and its validation."""

import copy
import math
import time
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kf_imitation.errors import KfImitationError
from kf_imitation.keyframe.scoring.pair_scorer import REFERENCE_S
from training.data import clip_cache
from training.data.face_mesh import MOTION_POINTS
from training.data.windows import Batch
from training.interrupt import Interrupt
from training.keyframe.measure.held_out import measure_net
from training.keyframe.networks.eye_mouth_networks import SteadyDropout
from training.keyframe.networks.fastflownet import pool
from training.keyframe.networks.fusion import (
    HIDDEN,
    FrameState,
    KeyframeNet,
    change_size,
    normalise,
)
from training.keyframe.train import bfloat16
from training.keyframe.train.config import TrainConfig
from training.keyframe.train.flow_losses import census_loss, smoothness_loss, visible
from training.keyframe.train.losses import (
    endpoint_loss,
    photometric_loss,
    point_loss,
    score_of,
    time_kernel,
    vector_loss,
)

SIGMA_S = 0.05
REACH_S = 0.1


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
        for name, weight in self.net.named_parameters():
            weight.requires_grad_(not name.startswith(tuple(config.frozen)))
        if config.network.get('parts') and config.parts_dropout:
            steady = SteadyDropout(config.parts_dropout, config.samples().frames)
            self.net.parts.eye.drop = self.net.parts.mouth.drop = steady
        # Where the points of the skin went: dense evidence for motion, in training only.
        self.point_head = nn.Linear(HIDDEN, 2 * len(MOTION_POINTS))
        self.validation: list[clip_cache.CachedClip] = []
        self.change_gain = 1.0
        self.interrupt: Interrupt | None = None
        self.spent_s = 0.0
        self._clock = time.monotonic()
        self.terms: dict[str, list[float]] = {}

    @property
    def _half(self) -> bool:
        return self.config.half and bfloat16.is_fast(self.device.type)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted terms of the joint loss."""
        weight, crops = self.config.loss, batch['crops']
        half = self._half
        windows, frames = crops.shape[:2]
        now = torch.arange(windows * frames).view(windows, frames)[:, 1:].reshape(-1)
        image = normalise(crops.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        stills = len(batch['still_now']) if 'still_now' in batch else 0
        state, places = self.net.see(image, half)
        if stills:
            still = normalise(batch['still_now']).contiguous(memory_format=torch.channels_last)
            other, _ = self.net.see(still, half)
            state = state.join(other)
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
            rate = (REFERENCE_S / batch['frame_s'])[:, None]
            smooth = score_of(rate * change_size(kernel @ change))
            wanted = score_of(rate * change_size(kernel @ truth))
            terms['window'] = (smooth - wanted).square().mean()
        if weight.get('points'):
            moved = self.point_head(result.features).view(windows, frames - 1, -1, 2)
            wanted = batch['points'].diff(dim=1) / self.net.shrink
            terms['points'] = point_loss(moved, wanted)
        if weight['score']:
            wanted = score_of(change_size(truth)).view(-1)
            terms['score'] = (torch.sigmoid(result.score_logit) - wanted).square().mean()
        if result.flows:
            seen = F.avg_pool2d(image, self.net.shrink)
            terms |= self._flow_terms(seen, now, state, result.flows)
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
                back, _ = self.net.flow_net.match(levels[1], levels[0], self._half)
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
        flows, _ = self.net.flow_net.match(levels, others, self._half)
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
            return torch.optim.SGD(self._trained(), lr=o['rate'], weight_decay=o['weight_decay'])
        return torch.optim.AdamW(
            self._trained(), lr=o['rate'], weight_decay=o['weight_decay'], fused=True
        )

    def _trained(self) -> list[nn.Parameter]:
        """Return what the optimiser changes, in the order of its state in checkpoints."""
        head = self.point_head.parameters() if self.config.loss.get('points') else ()
        own = (p for p in self.net.parameters() if p.requires_grad)
        return [*own, *head]

    def progress(self) -> float:
        """Return how much of the run is done, 0..1."""
        if self.minutes:
            return min(1.0, self.spent_s / 60 / self.minutes)
        return min(1.0, self.global_step / max(1, self.steps))

    def on_train_start(self) -> None:
        """Let what is frozen keep its batch statistics too."""
        for module in self.net.children():
            if not any(p.requires_grad for p in module.parameters()):
                module.eval()

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
        if self.interrupt is not None and self.interrupt.pressed:
            self.trainer.should_stop = True
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
        due = self.global_step % self.config.validate_every == 0 and not self.trainer.should_stop
        if self.global_step and due:
            # All processes have the same weights; one measures, the others wait for it.
            if self.trainer.is_global_zero:
                self.validate()
            self.trainer.strategy.barrier()
            # Nobody's budget pays for the measurement.
            self._clock = time.monotonic()

    def _agree(self) -> None:
        """Give all processes the same batch statistics and the same clock.

        Gradients are averaged by the launcher's strategy; what else steers a run, the averaged
        weights and the moment it ends, would drift apart.
        """
        floats = [b for b in self.net.buffers() if b.is_floating_point()]
        ends = float(self.interrupt is not None and self.interrupt.pressed)
        clock = torch.tensor([self.spent_s, ends], dtype=torch.float32, device=self.device)
        flat = torch.cat([*(b.flatten() for b in floats), clock])
        flat = self.trainer.strategy.reduce(flat, reduce_op='mean')
        self.spent_s = float(flat[-2])
        if self.interrupt is not None:
            self.interrupt.pressed = bool(flat[-1] > 0)
        parts = flat[:-2].split([b.numel() for b in floats])
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
        return means

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the time spent, the seed and the network with the weights."""
        checkpoint['spent_s'] = self.spent_s
        checkpoint['seed'] = self.config.seed
        checkpoint['network'] = self.config.network
        checkpoint['change_gain'] = self.change_gain

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the time spent, also where the points' loss was off or its head fixed.

        Raises:
            KfImitationError: the checkpoint is of another network.
        """
        self.spent_s = checkpoint['spent_s']
        self.change_gain = checkpoint.get('change_gain', 1.0)
        was = checkpoint.get('network', self.config.network)
        if was != self.config.network:
            raise KfImitationError(
                f'the checkpoint to resume is of the network {was}, the configuration asks for '
                f'{self.config.network}: name another --out, and --start to begin with its weights'
            )
        own = len(self._trained())
        bare = sum(p.requires_grad for p in self.net.parameters())
        for state in checkpoint.get('optimizer_states', []):
            (group,) = state['param_groups']
            # The head comes last; without a state of its own the optimiser begins one.
            whole = bare + len(list(self.point_head.parameters()))
            if len(group['params']) in (bare, whole):
                group['params'] = list(range(own))
                state['state'] = {k: v for k, v in state['state'].items() if k < own}
