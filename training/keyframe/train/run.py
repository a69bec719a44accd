"""Train the keyframe network.

`python -m training.keyframe.train --config training/keyframe/train/configs/default.yaml`

The run: data, devices, checkpoints. The step is in task.py, the configuration in config.py.
Started again with the same --out it goes on where it was.
"""

import argparse
import json
import os
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from kf_imitation.errors import KfImitationError
from training.data import clip_cache
from training.data.windows import SampleStream
from training.interrupt import Interrupt, ignore_interrupt
from training.keyframe.networks.fusion import KeyframeNet, grow, weights_under
from training.keyframe.train.config import TrainConfig
from training.keyframe.train.options import add_data_options, animated_photographs, labelled_clips
from training.keyframe.train.task import KeyframeTraining
from training.seeding import seed_everything

Clips = list[clip_cache.CachedClip]


def _data(arguments: argparse.Namespace, hold_out: list[str]) -> tuple[Clips, Clips, int]:
    """Return the clips to train on (none with shards), those held out, and the pairs."""
    if arguments.shards:
        from training.data import shard_stream

        pairs = shard_stream.check(arguments.shards, hold_out)
        return [], shard_stream.held_clips(arguments.shards), pairs
    train, held = labelled_clips(arguments, hold_out)
    return train, held, sum(len(c.frames) - 1 for c in train)


def steps_done(checkpoint: Path) -> int:
    """Return the steps of a checkpoint, 0 where there is none."""
    if not checkpoint.exists():
        return 0
    return int(torch.load(checkpoint, map_location='cpu', weights_only=False)['global_step'])


def main() -> None:
    """Run a training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config', type=Path, default=Path('training/keyframe/train/configs/default.yaml')
    )
    add_data_options(parser)
    parser.add_argument(
        '--shards', type=Path, help='of training.data.shards, instead of clips and animated'
    )
    parser.add_argument('--out', type=Path, default=Path('runs/keyframe_default'))
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--minutes', type=float, default=0.0, help='wall-clock budget of the run')
    parser.add_argument(
        '--start',
        nargs='+',
        default=[],
        metavar='FILE[:NAMES]',
        help='checkpoints whose averaged weights to start from, all or those whose names begin so '
        '(place_net.,squeeze.); where they overlap the last wins',
    )
    parser.add_argument(
        '--keep',
        type=int,
        default=0,
        help='keep a checkpoint of every so many steps, for averages',
    )
    parser.add_argument('--devices', default='auto', help='processes or GPUs, as in Lightning')
    parser.add_argument('--accelerator', default='auto', help='cpu, gpu, as in Lightning')
    parser.add_argument(
        '--set', nargs='*', default=[], help='overrides, like optimiser.rate=0.001'
    )
    parser.add_argument('--seed', type=int, help="instead of the configuration's")
    arguments = parser.parse_args()

    config = TrainConfig.load(arguments.config, arguments.set)
    if arguments.seed is not None:
        config.seed = arguments.seed
    torch.set_num_threads(arguments.threads)
    seed_everything(config.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / 'config.json').write_text(json.dumps(config.__dict__, indent=1))
    try:
        train, validation, pairs = _data(arguments, config.hold_out)
    except KfImitationError as error:
        parser.exit(2, f'{error}\n')
    samples = config.samples()
    epoch = max(1, pairs // (samples.windows * (samples.frames - 1)))
    steps = config.max_steps or epoch * (config.max_epochs or 1)
    faces = arguments.faces if arguments.faces.exists() else None

    resume = arguments.out / 'last.ckpt'
    # A resumed run must not see the same samples again.
    seed = config.seed + steps_done(resume)
    renders = arguments.renders if arguments.renders.exists() else None
    animated = animated_photographs(arguments)
    devices = arguments.devices if arguments.devices == 'auto' else int(arguments.devices)
    if devices == 'auto' and not torch.cuda.is_available():
        # torchrun says how many processes it started.
        devices = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    callbacks = [
        ModelCheckpoint(
            dirpath=arguments.out, save_last=True, save_top_k=0, every_n_train_steps=100
        )
    ]
    if arguments.keep:
        kept = ModelCheckpoint(
            dirpath=arguments.out, save_top_k=-1, every_n_train_steps=arguments.keep
        )
        callbacks.append(kept)
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator=arguments.accelerator,
        devices=devices,
        # Terms of weight 0 leave parts of the network without a gradient.
        strategy='auto' if devices == 1 else 'ddp_find_unused_parameters_true',
        gradient_clip_val=config.optimiser['clip'] or None,
        callbacks=callbacks,
        logger=[
            CSVLogger(arguments.out, name='log'),
            TensorBoardLogger(arguments.out, name='tensorboard'),
        ],
        enable_progress_bar=False,
        log_every_n_steps=50,
        use_distributed_sampler=False,
    )
    # Every process draws other samples.
    rank = trainer.global_rank
    if arguments.shards:
        from training.data.shard_stream import ShardStream

        stream: SampleStream = ShardStream(
            arguments.shards, faces, samples, seed, renders, rank, trainer.world_size
        )
    else:
        seed += 1_000_003 * rank
        stream = SampleStream(train, faces, samples, seed, renders, animated)
    loader = DataLoader(
        stream,
        batch_size=None,
        num_workers=1,
        prefetch_factor=3,
        worker_init_fn=ignore_interrupt,
    )
    task = KeyframeTraining(config, steps, arguments.minutes)
    task.validation = validation
    task.interrupt = Interrupt()
    given: set[str] = set()
    for start in arguments.start:
        file, _, names = start.partition(':')
        saved = torch.load(file, map_location='cpu', weights_only=False)
        weights = saved['state_dict']
        joined = KeyframeNet(**saved['network']).joined if 'network' in saved else None
        begins = tuple(names.split(','))
        own = weights_under(weights, 'mean_net.')
        chosen = {k: v for k, v in own.items() if k.startswith(begins)}
        given |= chosen.keys()
        task.change_gain = saved.get('change_gain', task.change_gain)
        grow(task.net, chosen, joined)
        grow(task.point_head, weights_under(weights, 'point_head.'))
        task.mean_net.load_state_dict(task.net.state_dict())
    frozen = {n for n, weight in task.net.named_parameters() if not weight.requires_grad}
    if not resume.exists() and frozen - given:
        parser.exit(
            2,
            f'{arguments.config}: frozen {config.frozen} would stay random: --start with a '
            'checkpoint that holds them, such as that of training.keyframe.train.train_parts\n',
        )
    source = arguments.shards or f'{len(train)} clips'
    print(f'{source}, {pairs} pairs, {steps} steps of {epoch} an epoch', flush=True)
    try:
        trainer.fit(task, loader, ckpt_path=str(resume) if resume.exists() else None)
    except KfImitationError as error:
        parser.exit(2, f'{resume}: {error}\n')
    trainer.save_checkpoint(resume)
    if task.interrupt.pressed:
        print(f'stopped after step {trainer.global_step}; start again to go on', flush=True)
    elif task.validation and trainer.is_global_zero:
        task.validate()


if __name__ == '__main__':
    main()
