r"""Teach a smaller network to answer as a trained one.

    python -m training.keyframe.train.distil --teacher runs/shipped_lite.ckpt \
        --config training/keyframe/train/configs/lite.yaml --out runs/small_lite --steps 4000

The smaller network of the configuration begins with the weights that both have. What both read of
a frame (eyes and mouth) is read once; then only what compares two frames is trained, which takes a
millisecond a pair. Printed is by how much the answers differ on the people that the configuration
holds out, in parts of the size of the change vectors. With flow or places in the network frames
cannot be kept: shrink such a network (training.keyframe.export.shrink) and train it on.
"""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kf_imitation.keyframe.scoring.pair_scorer import BLENDSHAPES, ROTATION_WEIGHT
from training.data.clip_cache import CachedClip
from training.data.windows import SampleStream
from training.keyframe.export.run import load_network
from training.keyframe.networks.fusion import (
    FrameState,
    KeyframeNet,
    PairResult,
    grow,
    normalise,
)
from training.keyframe.train.config import TrainConfig
from training.keyframe.train.options import add_data_options, animated_photographs, labelled_clips
from training.loop import Schedule, add_length_options
from training.seeding import seed_everything

TRAINED = ('fuse.', 'hidden.', 'turn.')
BATCH = 128  # pairs
RATE = 2e-3
WARM_UP = 50  # steps
# Of the loss, beside the change vectors: what they are made from, and the score.
FEATURES, SCORE = 0.02, 0.05


@dataclass
class Pairs:
    """Pairs of frames as the smaller network sees them, and the teacher's answers.

    Attributes:
        now: the later frames.
        before: the earlier frames.
        wanted: the teacher's answers.
    """

    now: FrameState
    before: FrameState
    wanted: PairResult

    def select(self, index: Tensor) -> 'Pairs':
        """Return some of them."""
        wanted = PairResult(
            self.wanted.change[index],
            self.wanted.score_logit[index],
            [],
            self.wanted.features[index],
        )
        return Pairs(self.now.select(index), self.before.select(index), wanted)

    def __len__(self) -> int:
        return len(self.wanted.change)


@torch.no_grad()
def watch(
    teacher: KeyframeNet, pupil: KeyframeNet, stream: SampleStream, seed: int, count: int
) -> Pairs:
    """Draw pairs, and let the teacher answer.

    Args:
        teacher: in eval mode.
        pupil: with the same eyes and mouth.
        stream: where windows come from.
        seed: of the draws.
        count: of pairs, at least.
    """
    rng, parts = np.random.default_rng(seed), list[Pairs]()
    while sum(map(len, parts)) < count:
        crops = stream.batch(rng)['crops']
        windows, frames = crops.shape[:2]
        images = normalise(crops.flatten(0, 1))
        state, _ = teacher.see(images)
        small = FrameState(*state.tensors())
        small.image = pupil.contrast(images.mean(dim=1, keepdim=True))
        later = torch.arange(windows * frames).view(windows, frames)
        now, before = later[:, 1:].flatten(), later[:, :-1].flatten()
        wanted = teacher.compare(state.select(now), [], state.select(before))
        parts.append(Pairs(small.select(now), small.select(before), wanted))

    def join(states: list[FrameState]) -> FrameState:
        tensors = zip(*(s.tensors() for s in states), strict=True)
        return FrameState(*(torch.cat(t) for t in tensors))

    wanted = PairResult(
        torch.cat([p.wanted.change for p in parts]),
        torch.cat([p.wanted.score_logit for p in parts]),
        [],
        torch.cat([p.wanted.features for p in parts]),
    )
    return Pairs(join([p.now for p in parts]), join([p.before for p in parts]), wanted)


@torch.no_grad()
def apart(pupil: KeyframeNet, pairs: Pairs) -> tuple[float, float]:
    """Return the change vectors' difference over their size, and the mean of the scores'."""
    pupil.eval()
    difference, scores = list[Tensor](), list[Tensor]()
    for index in torch.arange(len(pairs)).split(4 * BATCH):
        some = pairs.select(index)
        found = pupil.compare(some.now, [], some.before)
        difference.append(found.change - some.wanted.change)
        scores.append(found.score_logit.sigmoid() - some.wanted.score_logit.sigmoid())
    size = float(pairs.wanted.change.norm())
    return float(torch.cat(difference).norm()) / size, float(torch.cat(scores).abs().mean())


def teach(pupil: KeyframeNet, pairs: Pairs, held: Pairs, schedule: Schedule) -> None:
    """Train what compares two frames.

    Args:
        pupil: is changed.
        pairs: to learn from.
        held: of other people, for the printed figures.
        schedule: how long.
    """
    chosen = [p for name, p in pupil.named_parameters() if name.startswith(TRAINED)]
    optimiser = torch.optim.AdamW(chosen, lr=RATE, weight_decay=1e-3)
    weight = torch.ones(pairs.wanted.change.shape[1])
    weight[BLENDSHAPES:] = ROTATION_WEIGHT
    change = pairs.wanted.change
    usual = change.square().mean(0).sqrt() + 0.3 * change.square().mean().sqrt()
    spread = pairs.wanted.features.std(0).mean()
    while schedule.done < 1:
        schedule.set_rate(optimiser, RATE, WARM_UP, 0.005)
        pupil.eval()
        pupil.fuse.train()
        some = pairs.select(torch.randint(len(pairs), (BATCH,)))
        found = pupil.compare(some.now, [], some.before)
        loss = ((found.change - some.wanted.change) * weight / usual).square().mean()
        loss = loss + FEATURES * F.mse_loss(found.features / spread, some.wanted.features / spread)
        loss = loss + SCORE * F.mse_loss(found.score_logit, some.wanted.score_logit)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(chosen, 2.0)
        optimiser.step()
        schedule.step += 1
        if schedule.step % 500 == 0:
            vectors, score = apart(pupil, held)
            print(f'{schedule.step} {loss.item():.4f} {vectors:.4f} {score:.4f}', flush=True)


def main() -> None:
    """Write a checkpoint for `--start` and for the export."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--teacher', type=Path, required=True)
    parser.add_argument('--config', type=Path, required=True)
    add_data_options(parser)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--pairs', type=int, default=20000)
    add_length_options(parser, minutes=10.0)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--set', nargs='*', default=[], help='overrides, like seed=2')
    arguments = parser.parse_args()
    config = TrainConfig.load(arguments.config, arguments.set)
    torch.set_num_threads(arguments.threads)
    seed_everything(config.seed)
    if (arguments.out / 'last.ckpt').exists():
        print(f'{arguments.out / "last.ckpt"} is there already')
        return
    teacher, pupil = load_network(arguments.teacher), KeyframeNet(**config.network)
    if pupil.use_places or pupil.motion != 'none':
        parser.exit(2, f'{arguments.config}: flow and places cannot be taught this way\n')
    grow(pupil, teacher.state_dict(), teacher.joined)
    train, held = labelled_clips(arguments, config.hold_out)

    def pairs(clips: list[CachedClip], animated: list[CachedClip], count: int) -> Pairs:
        stream = SampleStream(clips, None, config.samples(), config.seed, animated=animated)
        return watch(teacher, pupil, stream, config.seed, count)

    others = pairs(held or train, [], max(1, arguments.pairs // 10))
    known = pairs(train, animated_photographs(arguments), arguments.pairs)
    print(f'{len(known)} pairs, {len(others)} of other people', flush=True)
    teach(pupil, known, others, Schedule(arguments))
    vectors, score = apart(pupil, others)
    saved = torch.load(arguments.teacher, map_location='cpu', weights_only=False)
    saved = saved | {
        'state_dict': {f'mean_net.{k}': v for k, v in pupil.state_dict().items()},
        'network': config.network,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / 'config.json').write_text(json.dumps(config.__dict__, indent=1))
    temporary = arguments.out / 'last.tmp'
    torch.save(saved, temporary)
    os.replace(temporary, arguments.out / 'last.ckpt')
    print(f'{arguments.out}: change vectors differ by {vectors:.4f}, scores by {score:.4f}')


if __name__ == '__main__':
    main()
