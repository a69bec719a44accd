"""What a run measured of itself, and the table of it at its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.table import Table

from kf_imitation.errors import counted
from kf_imitation.pipeline.statistics import Times

# Ledger name -> words in the table, in its order. Stages a run did not have are left out.
STAGES = {
    'camera read': 'read a frame',
    'camera publish': 'publish a frame',
    'age at scoring': 'capture to scoring',
    'convert': 'read the message',
    'face': 'face region',
    'score': 'score',
    'reflex': 'reflexes',
    'detect': 'smooth and detect',
    'crop': 'cut the crop (keyframes)',
    'publish results': 'publish results',
    'age at landmarks': 'capture to landmarks (keyframes)',
    'landmarks': 'landmarks (keyframes)',
    'expression': 'head pose and channels (keyframes)',
    'publish expression': 'publish channels (keyframes)',
    'age at command': 'capture to servo node (keyframes, reflexes)',
    'mapping': 'channels to joints (keyframes)',
}


@dataclass(frozen=True, slots=True)
class BusFigures:
    """What the servo bus did.

    Attributes:
        rate_hz: cycles per second.
        jitter_p99_ms: of the cycle start.
        overruns: cycles that took longer than their period.
        errors: failed transactions.
    """

    rate_hz: float
    jitter_p99_ms: float
    overruns: int
    errors: int


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What a run did.

    Attributes:
        elapsed_s: wall time from the first frame to the last.
        frames_in: frames the source gave.
        received: frames that reached the keyframe node.
        scored: of these, with a face and a score.
        keyframes: chosen.
        poses: keyframes that became an expression.
        times: of every stage by ledger name.
        realtime: the source ran at its own pace, so that latency means something.
        bus: None without a bus.
        left_out: frames of the source that could not be used.
        damaged: what is wrong with the source as a whole, or ''.
        skipped: frames that were too old, by stage.
        models: how many frames each score model scored.
        far_apart: frames without a score, whatever they show: too long after the frame before.
        faces: frames with a face; None where nobody counts them (live).
    """

    elapsed_s: float
    frames_in: int
    received: int
    scored: int
    keyframes: int
    poses: int
    times: Mapping[str, Times]
    realtime: bool
    bus: BusFigures | None
    left_out: int = 0
    damaged: str = ''
    skipped: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)
    far_apart: int = 0
    faces: int | None = None


def run_table(figures: RunFigures) -> Table:
    """Return the table: frames, keyframes, stages, latency, bus."""
    table = Table('', '', title='run', title_justify='left', show_header=False)
    table.add_column()
    rate = figures.received / figures.elapsed_s if figures.elapsed_s > 0 else 0.0
    table.add_row('frames in', str(figures.frames_in), f'{figures.elapsed_s:.1f} s')
    if figures.left_out or figures.damaged:
        table.add_row('left out', str(figures.left_out), figures.damaged or 'cannot be used')
    table.add_row('scored', str(figures.scored), f'{rate:.1f} frames per second')
    for model, count in figures.models.items():
        table.add_row(f'  by {model}', str(count), '')
    unscored = figures.received - figures.scored - figures.far_apart
    table.add_row('without a score', str(unscored), 'no face, or first')
    if figures.far_apart:
        # Here: it loads OpenCV, which mimic does without until its address is printed.
        from kf_imitation.keyframe.scoring.pair_scorer import LONGEST_PAIR_S

        rule = f'over {LONGEST_PAIR_S:g} s after the frame before'
        table.add_row('too far apart', str(figures.far_apart), f'no score: {rule}')
    arrived = figures.received + figures.skipped.get('scoring', 0)
    table.add_row('dropped', str(max(0, figures.frames_in - arrived)), 'a newer one was there')
    for stage, count in figures.skipped.items():
        behind = figures.times[f'behind at {stage}']
        spread = f'{behind.p50_ms:.0f} ms behind, {behind.worst_ms:.0f} ms at most'
        table.add_row(f'skipped at {stage}', counted(count, 'frame'), spread)
    table.add_row('keyframes', str(figures.keyframes), f'{figures.poses} became poses')
    _add_times(table, figures, 'commit delay', 'commit delay')
    table.add_section()
    for name, words in STAGES.items():
        _add_times(table, figures, name, words)
    table.add_section()
    if figures.realtime:
        _add_times(table, figures, 'capture to command', 'capture to servo command')
        _add_times(table, figures, 'camera late', 'frames behind real time')
    if figures.bus is not None:
        bus = figures.bus
        table.add_row(
            'bus rate', f'{bus.rate_hz:.1f} Hz', f'jitter p99 {bus.jitter_p99_ms:.2f} ms'
        )
        table.add_row('bus errors', str(bus.errors), counted(bus.overruns, 'overrun'))
    else:
        table.add_row('bus', 'none', '')
    return table


def _add_times(table: Table, figures: RunFigures, name: str, words: str) -> None:
    if name not in figures.times:
        return
    times = figures.times[name]
    spread = (
        f'p95 {times.p95_ms:.1f}, p99 {times.p99_ms:.1f}, worst {times.worst_ms:.1f}, '
        f'n = {times.count}'
    )
    table.add_row(words, f'p50 {times.p50_ms:.1f} ms', spread)
