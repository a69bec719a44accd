"""Search of detector and smoothing settings on clips of the training people."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf

from rich.table import Table

from kf_imitation.data_types import FrameScore, Keyframe
from kf_imitation.evaluation.clip_scores import ScoredClip, measure
from kf_imitation.evaluation.methods import Method
from kf_imitation.evaluation.metrics import mean_metrics
from kf_imitation.keyframe.selection.selector import KeyframeDetector
from kf_imitation.keyframe.selection.smoother import Estimate, ScoreSmoother, Smoothing
from kf_imitation.parameters.settings import DetectorSettings

_SIGMAS_S = (0.02, 0.03, 0.04, 0.05, 0.06)
_FORECASTS_S = (0.005, 0.02, 0.1)
_PROMINENCES = (0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12, 0.14, 0.16, 0.2)
_THRESHOLDS = (0.0, 0.1, 0.15, 0.2)
_ROWS = 12


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination and its means over clips."""

    settings: DetectorSettings
    smoothing: Smoothing
    e_n: float
    e_l: float
    f1: float
    rho: float

    @property
    def merit(self) -> float:
        """What is maximised: F1@2, less a little for wrong numbers and places."""
        return self.f1 - 0.02 * self.e_n - 0.05 * self.e_l


def tune(method: Method, clips: Sequence[ScoredClip]) -> Table:
    """Return the best settings of a method, best first."""
    trials = sorted(search(method, clips), key=lambda trial: trial.merit, reverse=True)
    table = Table(title=f'{method.name}: best of {len(trials)} settings, best first')
    names = ('prominence', 'threshold', 'sigma_s', 'forecast_s', 'vectors')
    for heading in (*names, 'E_n', 'E_l', 'F1@2', 'rho'):
        table.add_column(heading, justify='right')
    for trial in trials[:_ROWS]:
        settings, smoothing = trial.settings, trial.smoothing
        table.add_row(
            f'{settings.prominence:g}',
            f'{settings.threshold:g}',
            f'{smoothing.sigma_s:g}',
            f'{smoothing.forecast_s:g}',
            'yes' if smoothing.vectors else 'no',
            *(f'{value:.3f}' for value in (trial.e_n, trial.e_l, trial.f1, trial.rho)),
        )
    return table


def search(method: Method, clips: Sequence[ScoredClip]) -> list[Trial]:
    """Measure every combination of the grid; mode, spacing and commit delay stay the method's."""
    trials = []
    for smoothing in _smoothings(any(s.change is not None for s in clips[0].raw[method.name])):
        estimates = [estimate(clip.raw[method.name], method.settings, smoothing) for clip in clips]
        for prominence, threshold in product(_PROMINENCES, _THRESHOLDS):
            settings = replace(method.settings, prominence=prominence, threshold=threshold)
            means = mean_metrics(
                measure(clip, [e.score for e in given], detect(given, settings))
                for clip, given in zip(clips, estimates, strict=True)
            )
            trials.append(
                Trial(
                    settings,
                    smoothing,
                    float(means['e_n'] or 0.0),
                    inf if means['e_l'] is None else float(means['e_l']),
                    float(means['f1'] or 0.0),
                    float(means['rho'] or 0.0),
                )
            )
    return trials


def estimate(
    raw: Sequence[FrameScore], settings: DetectorSettings, smoothing: Smoothing
) -> list[Estimate]:
    """Smooth a whole clip."""
    smoother = ScoreSmoother(settings.commit_delay_s, smoothing)
    return [*(e for score in raw for e in smoother.push(score)), *smoother.flush()]


def detect(estimates: Sequence[Estimate], settings: DetectorSettings) -> list[Keyframe]:
    """Find the keyframes of a smoothed clip."""
    detector = KeyframeDetector(settings)
    judged = (detector.push(e.score, e.ahead) for e in estimates)
    return [keyframe for keyframe in judged if keyframe is not None]


def _smoothings(vectors: bool) -> list[Smoothing]:
    scores = [Smoothing(sigma_s, vectors=False) for sigma_s in _SIGMAS_S]
    if not vectors:
        return scores
    return [Smoothing(s, f) for s, f in product(_SIGMAS_S, _FORECASTS_S)] + scores
