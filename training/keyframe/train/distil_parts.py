r"""Teach narrower networks of eyes and mouth to read as trained ones.

    python -m training.keyframe.train.distil_parts --teacher runs/shipped_lite.ckpt \
        --config training/keyframe/train/configs/lite.yaml --out runs/small_parts --steps 1500

They begin with the channels that say most to the layer after them. Patches are cut where the
teacher's finder, which stays, finds the parts. What is taught is what the teacher makes of a patch
and how that changes from a frame to the next, by a tenth of it. Printed is the error of the
changes of embeddings in parts of their size, eyes and mouth, on people that the configuration
holds out. What is made of the embeddings is taught anew by training.keyframe.train.distil.
"""

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from training.data.clip_cache import CachedClip
from training.data.part_stream import PartStream, footage
from training.keyframe.export.run import load_network
from training.keyframe.networks.eye_mouth_networks import PartNet, cut_parts
from training.keyframe.networks.fusion import KeyframeNet, grow, scale_levels
from training.keyframe.train import bfloat16
from training.keyframe.train.config import TrainConfig
from training.keyframe.train.options import add_data_options, animated_photographs, labelled_clips
from training.loop import Schedule, add_length_options
from training.seeding import seed_everything

BATCH = 40  # pairs of frames
RATE = 1.5e-3
WARM_UP = 50  # steps
# Of the loss: of what changes, beside what is there; of the points of the mesh.
CHANGES, POINTS = 1.0, 0.3


@dataclass
class Lesson:
    """What one network is to read, pairs of frames one after the other.

    Attributes:
        patches: (2 N, 1, h, w) float16 grey levels.
        embeddings: (2 N, 96) float32 of the teacher.
        offsets: (2 N, P, 2) of the teacher's points.
        spread: (96,) of the embeddings.
        step: (96,) of their changes within a pair.
    """

    patches: Tensor
    embeddings: Tensor
    offsets: Tensor

    def __post_init__(self) -> None:
        self.spread = self.embeddings.std(0) + 0.1 * self.embeddings.std()
        apart = self.embeddings[1::2] - self.embeddings[::2]
        self.step = apart.square().mean(0).sqrt() + 0.3 * apart.square().mean().sqrt()

    def __len__(self) -> int:
        return len(self.patches) // 2


@torch.no_grad()
def lessons(teacher: KeyframeNet, stream: PartStream, count: int) -> tuple[Lesson, Lesson]:
    """Cut patches, and let the teacher read them.

    Args:
        teacher: in eval mode.
        stream: of crops, whose neighbours are a frame apart.
        count: of crops, at least.

    Returns:
        Of eyes and of mouths.
    """
    parts, seen = teacher.parts, [list[Tensor](), list[Tensor]()]
    done, batches = 0, iter(stream)
    while done < count:
        crops = next(batches)['crops'].flatten(0, 1)[:, None].float()
        places = parts.finder(scale_levels(parts.finder.shrink(crops)))
        eyes, mouths = cut_parts(crops, places)
        for kept, patches in zip(seen, (eyes, mouths), strict=True):
            kept.append(patches.half())
        done += len(crops)
    found = []
    for net, kept in zip((parts.eye, parts.mouth), seen, strict=True):
        patches, embeddings, offsets = torch.cat(kept), list[Tensor](), list[Tensor]()
        for some in patches.split(4 * BATCH):
            features = net.see(scale_levels(some.float()))
            offsets.append(net.offsets(features))
            embeddings.append(net.embed(features, offsets[-1]))
        found.append(Lesson(patches, torch.cat(embeddings), torch.cat(offsets)))
    return found[0], found[1]


@torch.no_grad()
def narrow(net: PartNet, teacher: PartNet, lesson: Lesson) -> None:
    """Begin with the teacher's channels that say most to the layer after them.

    Args:
        net: is changed.
        teacher: wider.
        lesson: something to look at.
    """
    own = dict(net.named_parameters()) | dict(net.named_buffers())
    for name, value in (*teacher.named_parameters(), *teacher.named_buffers()):
        if own[name].shape == value.shape:
            own[name].copy_(value)
    x = scale_levels(lesson.patches[: 4 * BATCH].float())
    convs = [i for i, layer in enumerate(teacher.body) if isinstance(layer, nn.Conv2d)]
    kept = torch.arange(x.shape[1])
    for here, after in itertools.pairwise(convs):
        for layer in teacher.body[here:after]:
            x = layer(x)
        conv, smaller, following = teacher.body[here], net.body[here], teacher.body[after]
        loud = x.std(dim=(0, 2, 3)) * following.weight.square().sum(dim=(0, 2, 3)).sqrt()
        best = loud.topk(smaller.weight.shape[0]).indices.sort().values
        smaller.weight.copy_(conv.weight[best][:, kept])
        norm, given = net.body[here + 1], teacher.body[here + 1]
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            getattr(norm, name).copy_(getattr(given, name)[best])
        kept = best
    last, given = net.body[convs[-1]], teacher.body[convs[-1]]
    last.weight.copy_(given.weight[:, kept])
    last.bias.copy_(given.bias)


def error(found: Tensor, lesson: Lesson, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far (2 n, 96) embeddings of neighbouring rows and their changes are off."""
    off = found - lesson.embeddings[rows]
    return off / lesson.spread, (off[1::2] - off[::2]) / lesson.step


def rows_of(pairs: Tensor) -> Tensor:
    """(n,) pairs to (2 n,) rows."""
    return torch.stack([2 * pairs, 2 * pairs + 1], dim=1).flatten()


@torch.no_grad()
def apart(net: PartNet, lesson: Lesson) -> float:
    """Return the error of the changes within pairs over the size of the changes."""
    net.eval()
    off, size = 0.0, 0.0
    for pairs in torch.arange(len(lesson)).split(2 * BATCH):
        rows = rows_of(pairs)
        features = net.see(scale_levels(lesson.patches[rows].float()))
        found = net.embed(features, net.offsets(features)) - lesson.embeddings[rows]
        wanted = lesson.embeddings[rows]
        off += float((found[1::2] - found[::2]).square().sum())
        size += float((wanted[1::2] - wanted[::2]).square().sum())
    return (off / size) ** 0.5


def teach(
    nets: list[PartNet], known: list[Lesson], others: list[Lesson], schedule: Schedule
) -> None:
    """Train the networks of eyes and mouth.

    Args:
        nets: are changed.
        known: to learn from.
        others: of other people, for the printed figures.
        schedule: how long.
    """
    weights = [p for net in nets for p in net.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=1e-3)
    while schedule.done < 1:
        schedule.set_rate(optimiser, RATE, WARM_UP, 0.005)
        loss = torch.zeros(())
        for net, lesson in zip(nets, known, strict=True):
            net.eval()  # no dropout, and the batch norms are no more than scales
            rows = rows_of(torch.randint(len(lesson), (BATCH * len(lesson) // len(known[1]),)))
            picture = scale_levels(lesson.patches[rows].float())
            features = net.see(picture.contiguous(memory_format=torch.channels_last))
            offsets = net.offsets(features)
            level, change = error(net.embed(features, offsets), lesson, rows)
            far = (offsets - lesson.offsets[rows]).square().mean()
            loss = loss + level.square().mean() + CHANGES * change.square().mean()
            loss = loss + POINTS * far / lesson.offsets.var()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 5.0)
        optimiser.step()
        schedule.step += 1
        if schedule.step % 100 == 0:
            figures = [f'{apart(*pair):.4f}' for pair in zip(nets, others, strict=True)]
            print(schedule.step, f'{loss.item():.4f}', *figures, flush=True)


def main() -> None:
    """Write a checkpoint for training.keyframe.train.distil."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--teacher', type=Path, required=True)
    parser.add_argument('--config', type=Path, required=True)
    add_data_options(parser)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--crops', type=int, default=12000)
    add_length_options(parser, minutes=15.0)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--set', nargs='*', default=[], help='overrides, like seed=2')
    arguments = parser.parse_args()
    config = TrainConfig.load(arguments.config, arguments.set)
    torch.set_num_threads(arguments.threads)
    seed_everything(config.seed)
    if (arguments.out / 'last.ckpt').exists():
        print(f'{arguments.out / "last.ckpt"} is there already')
        return
    teacher, pupil = load_network(arguments.teacher), KeyframeNet(**config.network).eval()
    grow(pupil, teacher.state_dict(), teacher.joined)
    train, held = labelled_clips(arguments, config.hold_out)
    photographs = arguments.faces if arguments.faces.exists() else None

    def taught(
        clips: list[CachedClip], animated: list[CachedClip], faces: Path | None, count: int
    ) -> list[Lesson]:
        known, drawn = (
            [piece for clip in some for piece in footage(clip)] for some in (clips, animated)
        )
        stream = PartStream(known, drawn, faces, train[0].labels.names, config.seed)
        return list(lessons(teacher, stream, count))

    others = taught(held or train, [], None, max(80, arguments.crops // 15))
    known = taught(train, animated_photographs(arguments), photographs, arguments.crops)
    nets = [pupil.parts.eye, pupil.parts.mouth]
    for net, wide, lesson in zip(
        nets, (teacher.parts.eye, teacher.parts.mouth), known, strict=True
    ):
        narrow(net, wide, lesson)
        net.to(memory_format=torch.channels_last)
        net.half = bfloat16.is_fast()
    print(*(f'{apart(*pair):.4f}' for pair in zip(nets, others, strict=True)), flush=True)
    teach(nets, known, others, Schedule(arguments))
    saved = torch.load(arguments.teacher, map_location='cpu', weights_only=False)
    saved = saved | {
        'state_dict': {f'mean_net.{k}': v for k, v in pupil.state_dict().items()},
        'network': config.network,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / 'config.json').write_text(json.dumps(config.__dict__, indent=1))
    torch.save(saved, arguments.out / 'last.ckpt')
    print(arguments.out)


if __name__ == '__main__':
    main()
