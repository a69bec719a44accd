"""Clips with long still parts, made from clips of people who never rest.

The picture stands still every few seconds, as in a video that is paused: labels, landmarks and
face stay, nothing changes. Keyframes need no pose there; evenly spaced poses are wasted.
"""

from dataclasses import replace

import numpy as np

from kf_imitation.data_types import FrameScore
from kf_imitation.evaluation.imitation.clip import Clip, Reading

LIVELY_S = 2.0
REST_S = 2.0


def with_rests(clip: Clip, lively_s: float = LIVELY_S, rest_s: float = REST_S) -> Clip:
    """Return the clip with a rest after every lively part, its rate kept.

    Args:
        clip: of N frames.
        lively_s: how long the person moves between two rests [s].
        rest_s: how long each rest is [s]; its frames score 0.
    """
    interval_ns = round(float(np.median(np.diff(clip.stamps_ns))))
    lively = max(1, round(lively_s * 1e9 / interval_ns))
    held = round(rest_s * 1e9 / interval_ns)
    source = [
        frame
        for i in range(len(clip.stamps_ns))
        for frame in [i] * (1 + (held if (i + 1) % lively == 0 else 0))
    ]
    stamps = int(clip.stamps_ns[0]) + interval_ns * np.arange(len(source), dtype=np.int64)
    new = [k == 0 or source[k] != source[k - 1] for k in range(len(source))]

    def scored(scores: list[FrameScore]) -> list[FrameScore]:
        made = []
        for k, (i, stamp) in enumerate(zip(source, stamps.tolist(), strict=True)):
            score = replace(scores[i], index=k, stamp_ns=stamp)
            if not new[k] and score.region is not None:
                change = None if score.change is None else np.zeros_like(score.change)
                score = replace(
                    score, score=0.0, change=change, flow_px=0.0, dt_s=interval_ns * 1e-9, note=''
                )
            made.append(score)
        return made

    def reading(i: int, stamp_ns: int) -> Reading | None:
        found = clip.readings[i]
        if found is None:
            return None
        landmarks, pose = found
        return replace(landmarks, stamp_ns=stamp_ns), replace(pose, stamp_ns=stamp_ns)

    return Clip(
        f'{clip.name} with rests',
        stamps,
        clip.human[source],
        clip.valid[source],
        [reading(i, stamp) for i, stamp in zip(source, stamps.tolist(), strict=True)],
        scored(list(clip.scores)),
        scored(list(clip.differences)),
        clip.smoothing,
        None if clip.aperture is None else clip.aperture[source],
        shapes=None if clip.shapes is None else clip.shapes[source],
    )
