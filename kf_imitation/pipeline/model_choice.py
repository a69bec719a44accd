"""`model: auto`: the score model that this machine can run, measured at start and then watched."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from kf_imitation.camera.stamps import GAP_S
from kf_imitation.inference import OnnxModel
from kf_imitation.keyframe.scoring.pair_scorer import ChangeNetwork
from kf_imitation.parameters.settings import ACCURATE_MODEL, AUTO_MODEL, QUICK_MODEL
from kf_imitation.pipeline.face_pipeline import FacePipeline

# What is asked for: 30 frames a second. What the rest of a frame takes on a plain machine of two
# cores (decoding, ROS, bus, a page) leaves scoring so much of the time and of all cores.
PERIOD_S = 1 / 30
MOST_WALL = 0.6
MOST_PROCESSOR = 0.25
# Scored pairs: the first ones fill caches, and a slow machine shows itself in a few.
_WARM_UP, _PAIRS, _LONGEST_S = 2, 9, 0.5

# A second is too much for the model if scoring fills so much of it, or skips so many frames ...
_MOST_BUSY, _MOST_SKIPPED = 0.9, 0.1
# ... and so many such seconds in a row are no hiccup.
RUN = 4


@dataclass(frozen=True, slots=True)
class Cost:
    """What scoring a frame takes [s]: by the clock, and of all cores together."""

    wall_s: float
    processor_s: float

    def fits(self, cores: int) -> bool:
        """Return whether 30 frames a second leave room for all else on a machine."""
        return (
            self.wall_s <= MOST_WALL * PERIOD_S
            and self.processor_s <= MOST_PROCESSOR * PERIOD_S * cores
        )


def measure(network: ChangeNetwork) -> Cost:
    """Score a few noisy pairs and return the middle of the times; takes less than a second.

    Other threads of this process should rest: their processor time would count, too.
    """
    shape = network.crop_px, network.crop_px, 3
    crops = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    walls: list[float] = []
    used: list[float] = []
    began = perf_counter()
    while len(walls) < _WARM_UP + _PAIRS and perf_counter() - began < _LONGEST_S:
        before, used_before = perf_counter(), process_time()
        network.compare(crops[len(walls) % 2])
        walls.append(perf_counter() - before)
        used.append(process_time() - used_before)
    kept = slice(min(_WARM_UP, len(walls) - 1), None)
    return Cost(median(walls[kept]), median(used[kept]))


class Overload:
    """Notices, by the stamps of the frames, that scoring has not kept up for some seconds."""

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._busy_s = 0.0
        self._frames = self._skipped = self._seconds = 0

    def scored(self, stamp_ns: int, busy_s: float) -> bool:
        """Take a frame and how long it took; return whether it is too much."""
        self._busy_s += busy_s
        return self._another(stamp_ns)

    def skipped(self, stamp_ns: int) -> bool:
        """Take a frame that was too old to be scored; return whether it is too much."""
        self._skipped += 1
        return self._another(stamp_ns)

    def _another(self, stamp_ns: int) -> bool:
        self._frames += 1
        since_s = 0.0 if self._began_ns is None else (stamp_ns - self._began_ns) * 1e-9
        if self._began_ns is not None and 0.0 <= since_s < 1.0:
            return False
        if 0.0 < since_s < GAP_S:
            busy, skipped = self._busy_s / since_s, self._skipped / self._frames
            full = busy > _MOST_BUSY or skipped > _MOST_SKIPPED
            self._seconds = self._seconds + 1 if full else 0
        else:  # the first frame, or another clock
            self._seconds = 0
        self._began_ns, self._busy_s, self._frames, self._skipped = stamp_ns, 0.0, 0, 0
        return self._seconds >= RUN


class ModelChoice:
    """Lets a live pipeline score with the model that the machine can run.

    `auto` begins with the accurate model where it fits, and goes over to the quick one at most
    once; never back, so that the scores of a run do not flap. A fixed model stays, and so does the
    accurate one where every frame is wanted: time does not matter there.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        pipeline: FacePipeline,
        say: Callable[[str], object],
        cost: Callable[[ChangeNetwork], Cost] = measure,
    ) -> None:
        """Choose.

        Args:
            values: the keyframe node's parameters.
            pipeline: with the model that build_face_pipeline takes for them.
            say: takes a sentence whenever the quick model takes over.
            cost: measures what scoring takes.

        Raises:
            ModelError: the quick model is missing or altered.
        """
        self._pipeline, self._say = pipeline, say
        self._quick: ChangeNetwork | None = None
        self._watch = Overload()
        network = pipeline.network
        if values['model'] != AUTO_MODEL or values['lossless'] or network is None:
            return
        self._quick = ChangeNetwork(OnnxModel.load(QUICK_MODEL, values['threads']))
        found, cores = cost(network), len(os.sched_getaffinity(0))
        if not found.fits(cores):
            self._hand_over(
                f'a frame takes {ACCURATE_MODEL} {found.wall_s * 1e3:.0f} ms, '
                f'{found.processor_s * 1e3:.0f} ms of the processor, of which there are {cores}'
            )

    @property
    def model(self) -> str:
        """Name of the model that scores now; '' for a baseline."""
        network = self._pipeline.network
        return '' if network is None else network.model_name

    def scored(self, stamp_ns: int, busy_s: float) -> None:
        """Take a frame and how long it took."""
        if self._watch.scored(stamp_ns, busy_s):
            self._hand_over(f'{ACCURATE_MODEL} has not kept up for {RUN} seconds')

    def skipped(self, stamp_ns: int) -> None:
        """Take a frame that was too old to be scored."""
        if self._watch.skipped(stamp_ns):
            self._hand_over(f'{RUN} seconds with frames that came too late to be scored')

    def _hand_over(self, reason: str) -> None:
        if self._quick is not None:
            self._pipeline.score_with(self._quick)
            self._quick = None
            self._say(f'{QUICK_MODEL} scores from now on: {reason} (model: {AUTO_MODEL})')
