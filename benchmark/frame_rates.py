"""The same person at several frame rates: how far apart are the keyframes?

    python -m benchmark.frame_rates --clips ../shared/data/clips/dev
    for fps in 15 25 30 60; do
        python -m face_renderer.demo --fps $fps --out rates/demo_$fps.mp4; done
    python -m benchmark.frame_rates --same rates/demo_30.mp4 rates/demo_15.mp4 rates/demo_60.mp4

`--same` takes videos of one motion, each rendered at its own rate; the first is what the others
are compared with. `--clips` takes every second frame of each clip of 29 fps or more (30 to 15).
Keyframes are paired one to one within 0.2 s by their stamps; "far" counts pairs more than 2
frames at 30 fps apart, "alone" keyframes without a partner. A peak of prominence just above or
below the threshold at one rate is alone, not misplaced; its prominence is in the last column.
The mode is `peak`: where `travel` puts its keyframes depends on the sum of everything before.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmark.stillness import KeyframeStage, read_frames
from kf_imitation.data_types import Frame, Keyframe
from kf_imitation.errors import KfImitationError
from kf_imitation.evaluation.metrics import pair

NEAR_S = 2 / 30
REACH_MS = 200


@dataclass(frozen=True, slots=True)
class Agreement:
    """Keyframes at another rate against those of the reference.

    Attributes:
        first: keyframes of the reference.
        second: of the other rate.
        apart_s: distance of each pair [s].
        alone: prominence of the keyframes without a partner, of both.
    """

    first: int
    second: int
    apart_s: tuple[float, ...]
    alone: tuple[float, ...]

    @property
    def far(self) -> int:
        """Pairs more than 2 frames at 30 fps apart."""
        return sum(d > NEAR_S + 1e-3 for d in self.apart_s)


def agree(first: Sequence[Keyframe], second: Sequence[Keyframe]) -> Agreement:
    """Pair keyframes by their stamps, in milliseconds."""
    a = [round(k.stamp_ns / 1e6) for k in first]
    b = [round(k.stamp_ns / 1e6) for k in second]
    pairs = pair(a, b, REACH_MS)
    taken, partners = {x for x, _ in pairs}, {y for _, y in pairs}
    alone = [k.prominence for k, t in zip(first, a, strict=True) if t not in taken]
    alone += [k.prominence for k, t in zip(second, b, strict=True) if t not in partners]
    return Agreement(len(a), len(b), tuple(abs(x - y) / 1e3 for x, y in pairs), tuple(alone))


def print_row(name: str, result: Agreement) -> None:
    """Print one comparison."""
    mean = 1e3 * float(np.mean(result.apart_s)) if result.apart_s else float('nan')
    worst = 1e3 * max(result.apart_s, default=float('nan'))
    alone = ' '.join(f'{p:.2f}' for p in sorted(result.alone, reverse=True))
    print(
        f'{name[:46]:46s}{result.first:5d}{result.second:5d}{len(result.apart_s):7d}'
        f'{mean:9.0f}{worst:10.0f}{result.far:5d}  {alone}'
    )


def main() -> int:
    """Print a table; 2 for what the user can fix."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--same', type=Path, nargs='*', default=[], metavar='VIDEO')
    parser.add_argument('--clips', type=Path, metavar='DIR')
    parser.add_argument('--model', default='keyframe_default')
    parser.add_argument('--mode', default='peak', help='of the detector')
    parser.add_argument('--manifest', type=Path, help='of other models than the package has')
    args = parser.parse_args()
    cv2.setNumThreads(1)
    results: list[Agreement] = []
    try:
        stage = KeyframeStage(args.model, args.mode, args.manifest)
        print(f'{"":46s}{"keys":>10s}{"pairs":>7s}{"mean[ms]":>9s}{"worst[ms]":>10s}  far  alone')
        if args.same:
            reference = stage.run(read_frames(str(args.same[0])))[1]
            for video in args.same[1:]:
                found = stage.run(read_frames(str(video)))[1]
                results.append(agree(reference, found))
                print_row(f'{args.same[0].stem} / {video.stem}', results[-1])
        for video in sorted(args.clips.glob('*.mp4')) if args.clips else []:
            frames: list[Frame] = list(read_frames(str(video)))
            if (frames[-1].stamp_ns - frames[0].stamp_ns) * 1e-9 * 29 > len(frames):
                continue
            results.append(agree(stage.run(frames)[1], stage.run(frames[::2])[1]))
            print_row(f'{video.stem} 30 / 15', results[-1])
    except KfImitationError as error:
        print(error, file=sys.stderr)
        return 2
    everything = Agreement(
        sum(r.first for r in results),
        sum(r.second for r in results),
        tuple(d for r in results for d in r.apart_s),
        (),
    )
    print_row('all', everything)
    return 0


if __name__ == '__main__':
    sys.exit(main())
