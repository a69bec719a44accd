"""Configuration of a keyframe training: what the YAML files of configs/ hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from training.data.augment import AugmentSettings
from training.data.windows import SampleSettings

OCCLUSION = ('none', 'forward_backward')


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
        frozen: beginnings of names of weights that stay as they began, like `parts.`.
        parts_dropout: chance of a value of the frozen networks of eyes and mouth to be left out
            in a whole window.
        ema: decay of the averaged weights that are validated and exported; 0 for none.
        max_steps: length of the run; or
        max_epochs: the same in passes over the training frames.
        validate_every: steps.
        print_every: steps.
        half: convolutions in bfloat16 where precision allows it and the processor has it.
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
    frozen: list[str] = field(default_factory=list)
    parts_dropout: float = 0.0
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
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> 'TrainConfig':
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
