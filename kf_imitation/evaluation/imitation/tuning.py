"""Search of the travel threshold of `travel` and `combined` on clips of the training people.

Every threshold is measured against as many evenly spaced poses, on the clips as they are (people
who talk or grimace all the time) and with rests put in (rests.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.table import Table

from kf_imitation.errors import ConfigError
from kf_imitation.evaluation.imitation.clip import Clip
from kf_imitation.evaluation.imitation.figures import means
from kf_imitation.evaluation.imitation.imitator import Imitator
from kf_imitation.evaluation.imitation.rests import with_rests
from kf_imitation.keyframe.selection.selector import CAUSAL

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
KINDS = ('restless', 'with rests')
# Sensible rates on restless clips: at most about a fifth of every frame's poses.
RATES_PER_S = (2.5, 4.5)
LESS_DELAY = 0.85  # of uniform's delay is allowed on restless clips

Row = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One threshold of one mode.

    Attributes:
        mode: travel or combined.
        threshold: raw change between two keyframes.
        found: means of the mode by kind of clip, as figures.means gives them.
        uniform: means of as many evenly spaced poses.
    """

    mode: str
    threshold: float
    found: Mapping[str, Row]
    uniform: Mapping[str, Row]

    @property
    def problems(self) -> list[str]:
        """Which aims are missed."""
        missed = []
        low, high = RATES_PER_S
        restless, even = self.found['restless'], self.uniform['restless']
        if not low <= restless['commands_per_s'] <= high:
            missed.append('rate')
        if restless['tracking'] < even['tracking']:
            missed.append('tracking')
        if restless['delay_s'] > LESS_DELAY * even['delay_s']:
            missed.append('delay')
        rests, even = self.found['with rests'], self.uniform['with rests']
        if rests['tracking'] <= even['tracking']:
            missed.append('tracking with rests')
        if rests['delay_s'] >= even['delay_s']:
            missed.append('delay with rests')
        return missed


def search(
    clips: Sequence[Clip],
    imitator: Imitator,
    channels: str,
    thresholds: Sequence[float] = THRESHOLDS,
    log: Callable[[str], None] = lambda _: None,
) -> list[Trial]:
    """Measure every threshold of both modes.

    Args:
        clips: of training people, never of those that are measured on.
        imitator: its threshold is as before afterwards.
        channels: where the poses come from, as for Imitator.measure.
        thresholds: to try.
        log: gets a line before each trial.
    """
    kinds = {'restless': list(clips), 'with rests': [with_rests(clip) for clip in clips]}
    before = imitator.settings
    trials = []
    for mode in CAUSAL:
        for threshold in thresholds:
            log(f'{mode} {threshold:g}')
            imitator.settings = replace(before, mode=mode, travel_threshold=threshold)
            found, uniform = (
                {
                    kind: means(imitator.measure(clip, method, channels) for clip in of_kind)
                    for kind, of_kind in kinds.items()
                }
                for method in (mode, 'uniform')
            )
            trials.append(Trial(mode, threshold, found, uniform))
    imitator.settings = before
    return trials


def thresholds_of(text: str) -> list[float]:
    """Read thresholds to try; `grid` stands for our own.

    Raises:
        ConfigError: one is not a number of 0.01 or more.
    """
    if text == 'grid':
        return list(THRESHOLDS)
    try:
        thresholds = [float(part) for part in text.split(',') if part]
    except ValueError as error:
        raise ConfigError('--tune-travel', [f'{text!r} must be numbers with commas']) from error
    if not all(threshold >= 0.01 for threshold in thresholds):
        raise ConfigError('--tune-travel', [f'{text!r} must be 0.01 or more each'])
    return thresholds


def tuning_table(trials: Sequence[Trial]) -> Table:
    """Return one row for each trial: the mode / as many evenly spaced poses."""
    table = Table(title='mode / uniform at as many poses', title_justify='left')
    for heading in ('mode', 'threshold', 'poses/s', *KINDS, 'cosine', 'misses'):
        table.add_column(heading, justify='left' if heading == 'mode' else 'right')
    for trial in trials:
        found, uniform = trial.found, trial.uniform
        table.add_row(
            trial.mode,
            f'{trial.threshold:g}',
            f'{found["restless"]["commands_per_s"]:.2f}',
            *(
                f'{found[k]["tracking"]:.3f} / {uniform[k]["tracking"]:.3f}, '
                f'{found[k]["delay_s"]:.2f} / {uniform[k]["delay_s"]:.2f} s'
                for k in KINDS
            ),
            f'{found["restless"]["cosine"]:.3f} / {uniform["restless"]["cosine"]:.3f}',
            ', '.join(trial.problems) or '-',
        )
    return table
