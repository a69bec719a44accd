"""What `mimic` shows while it runs, and the figures it gathers at the end."""

import sys
from collections.abc import Mapping
from threading import Event
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.text import Text

from kf_imitation.cockpit.process import CockpitProcess
from kf_imitation.nodes.composition import Composition
from kf_imitation.pipeline.run_report import BusFigures, RunFigures
from kf_imitation.ros_graph.service_manager import tell_service_manager

# Between two lines of progress where there is no terminal to draw in.
_LOG_INTERVAL_S = 5.0


def watch(
    composition: Composition,
    stop: Event,
    cockpit: CockpitProcess | None = None,
    quiet: bool = False,
) -> float:
    """Show progress until the run ends or is told to stop; print the cockpit's address once.

    Args:
        composition: that runs.
        stop: is set to end it.
        cockpit: whose address is printed, or None.
        quiet: show no progress.

    Returns:
        Time from the first frame to the last [s].
    """
    console = Console(stderr=True)
    first_s = last_s = logged_s = monotonic()
    frames = 0
    announced = cockpit is None
    with Live(
        console=console, auto_refresh=console.is_terminal, refresh_per_second=5, transient=True
    ) as live:
        while not stop.wait(0.1) and not composition.finished:
            tell_service_manager('READY=1\nWATCHDOG=1')
            now_s, count = monotonic(), composition.ledger('keyframe').count('frames')
            if count != frames:
                first_s, last_s = first_s if frames else now_s, now_s
                frames = count
            if cockpit is not None and cockpit.announcement and not announced:
                announced = True
                console.print(cockpit.announcement, soft_wrap=True, highlight=False, markup=False)
            if quiet:
                continue
            if console.is_terminal:
                live.update(Text(progress_line(composition)))
            elif now_s - logged_s > _LOG_INTERVAL_S:
                logged_s = now_s
                print(progress_line(composition), file=sys.stderr, flush=True)
    return last_s - first_s


def _source_of(composition: Composition) -> str:
    """Name the node that counts the frames: without a camera of ours, who receives them."""
    return 'camera' if 'camera' in composition.nodes else 'keyframe'


def progress_line(composition: Composition) -> str:
    """Return frames, keyframes and the states of camera, face and servos in one line."""
    keyframe = composition.ledger('keyframe')
    parts = [
        f'{composition.ledger(_source_of(composition)).count("frames")} frames',
        f'{keyframe.count("scored")} scored',
        f'{keyframe.count("keyframes")} keyframes',
    ]
    nodes = composition.nodes
    parts += [nodes[name].status()[1] for name in ('camera', 'keyframe', 'servo') if name in nodes]
    return ' · '.join(parts)


def collect(
    composition: Composition, elapsed_s: float, realtime: bool, bus: BusFigures | None
) -> RunFigures:
    """Gather the figures of a run from the nodes' ledgers."""
    counts: dict[str, Mapping[str, int]] = {
        name: composition.ledger(name).counts()
        for name in ('camera', 'keyframe', 'landmarks', 'servo')
    }
    skipped: dict[str, int] = {}
    for name in counts:
        skipped |= composition.ledger(name).counts('skipped at ')
    times = {
        stage: value
        for name in ('camera', 'keyframe', 'landmarks', 'servo', 'recorder')
        for stage, value in composition.ledger(name).times().items()
    }
    return RunFigures(
        elapsed_s=elapsed_s,
        frames_in=counts[_source_of(composition)].get('frames', 0),
        received=counts['keyframe'].get('frames', 0),
        scored=counts['keyframe'].get('scored', 0),
        keyframes=counts['keyframe'].get('keyframes', 0),
        poses=counts['landmarks'].get('read', 0),
        times=times,
        realtime=realtime,
        bus=bus,
        skipped=skipped,
        models=composition.ledger('keyframe').counts('scored by '),
    )


def bus_figures(composition: Composition) -> BusFigures | None:
    """Return the bus's figures while it still runs; None without a bus."""
    servo = composition.nodes.get('servo')
    figures = servo.bus_figures() if servo is not None else None
    return figures if isinstance(figures, BusFigures) else None
