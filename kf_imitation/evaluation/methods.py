"""The ways to find keyframes that are compared: scorer, smoothing and detector of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import yaml

from kf_imitation.errors import ConfigError
from kf_imitation.inference import OnnxModel
from kf_imitation.keyframe.scoring.baselines import DisFlow, FrameDifference
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork, Comparison, PairScorer
from kf_imitation.keyframe.selection.smoother import Smoothing
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.paths import share_path

METHODS_FILE = 'config/evaluate.yaml'
_BASELINES: Mapping[str, Callable[[], Comparison]] = {
    'frame_difference': FrameDifference,
    'dis': DisFlow,
}


@dataclass(frozen=True, slots=True)
class Method:
    """One way to find keyframes.

    Attributes:
        name: of the method.
        scorer: its scorer, fresh.
        settings: of its detector.
        smoothing: of its scores.
    """

    name: str
    scorer: PairScorer
    settings: DetectorSettings
    smoothing: Smoothing


def load_methods(names: Sequence[str], settings: DetectorSettings, threads: int) -> list[Method]:
    """Load methods by name.

    Args:
        names: keys of config/evaluate.yaml.
        settings: of the keyframe node; a method's own come on top.
        threads: of each model's runtime.

    Raises:
        ConfigError: unknown names (all of them), or a problem of config/evaluate.yaml.
        ModelError: a method's model is missing or altered.
    """
    path = share_path(METHODS_FILE)
    table: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding='utf-8'))
    unknown = [name for name in names if name not in table]
    if unknown or not names:
        problems = [f'{name!r} is not a method' for name in unknown] or ['no method is given']
        raise ConfigError('--methods', [*problems, f'methods are {", ".join(table)}'])
    problems = [
        f'{name}.{group}: {key} is not one of {", ".join(allowed)}'
        for name in names
        for group, kind in (('detector', DetectorSettings), ('smoothing', Smoothing))
        for allowed in [[field.name for field in fields(kind)]]
        for key in table[name].get(group, {})
        if key not in allowed
    ]
    if problems:
        raise ConfigError(str(path), problems)
    return [_load(name, table[name], settings, threads) for name in names]


def _load(name: str, entry: Mapping[str, Any], settings: DetectorSettings, threads: int) -> Method:
    smoothing = Smoothing()
    comparison: Comparison
    if 'model' in entry:
        model = OnnxModel.load(entry['model'], threads)
        comparison, smoothing = ChangeNetwork(model), Smoothing.of_model(model.entry)
    else:
        comparison = _BASELINES[entry['baseline']]()
    return Method(
        name,
        PairScorer(comparison),
        replace(settings, **entry.get('detector', {})),
        replace(smoothing, **entry.get('smoothing', {})),
    )
