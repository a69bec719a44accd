"""How a run went: time per stage and faults, from diagnostics or from the scores."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kf_imitation.bags.reader import header_stamp_ns
from kf_imitation.data_types import FrameScore
from kf_imitation.reporting.recording import Recording

_TIMES = re.compile(r'(?P<stage>.+) p50 / p99 \[ms\]')


@dataclass(slots=True)
class Fault:
    """A sentence about what was not well.

    Attributes:
        text: the sentence; of a node: with its name.
        count: how often it came.
        first_s, last_s: when, since the first frame.
    """

    text: str
    count: int
    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Health:
    """Of all nodes.

    Attributes:
        times_ms: latest percentiles by stage.
        faults: in the order of their first appearance.
    """

    times_ms: Mapping[str, Mapping[str, float]]
    faults: list[Fault]


def read_health(recording: Recording) -> Health:
    """Read /diagnostics; empty without it."""
    times: dict[str, dict[str, float]] = {}
    faults: dict[str, Fault] = {}
    for message in recording.messages('diagnostics'):
        now_s = (header_stamp_ns(message) - recording.start_ns) * 1e-9
        for status in message.status:
            for pair in status.values:
                stage = _TIMES.fullmatch(pair.key)
                numbers = pair.value.split(' / ')
                if stage and len(numbers) == 2:
                    p50, p99 = (float(number) for number in numbers)
                    times[stage['stage']] = {'p50': p50, 'p99': p99}
            if _level(status.level):
                text = f'{status.name}: {status.message}'
                fault = faults.setdefault(text, Fault(text, 0, now_s, now_s))
                fault.count += 1
                fault.last_s = now_s
    return Health(times, list(faults.values()))


def unscored(raw: Sequence[FrameScore]) -> list[Fault]:
    """Return why frames of a replay got no score; the very first frame is no fault."""
    faults: dict[str, Fault] = {}
    for score in raw[1:]:
        if score.score is None:
            now_s = (score.stamp_ns - raw[0].stamp_ns) * 1e-9
            text = f'frame without a score: {score.note}'
            fault = faults.setdefault(text, Fault(text, 0, now_s, now_s))
            fault.count += 1
            fault.last_s = now_s
    return list(faults.values())


def _level(level: object) -> int:
    """Return a level, which libraries read as a number or as one byte."""
    return level[0] if isinstance(level, bytes) else int(str(level))
