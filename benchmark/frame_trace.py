"""How many files one frame goes through, from the source to the command of the joints.

    .venv/bin/python -m benchmark.frame_trace [VIDEO]

It replays a video until a frame in the steady state becomes a keyframe and follows that frame:
from the moment the source has returned it to the moment its goals go out to the servo bus. What
is not on that way is not counted: reading the source, servo cycles that know nothing of the frame,
the frame after it, the (simulated) servos behind the bus.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import kf_imitation
from kf_imitation.actuators.dynamixel.simulator.in_process_bus import InProcessBus
from kf_imitation.paths import share_path
from kf_imitation.pipeline.face_pipeline import FacePipeline
from kf_imitation.replay.run import open_file, source_settings
from kf_imitation.replay.simulation import VirtualHead, build_stages, replay
from kf_imitation.ros_graph.nodes import merged_parameters

PACKAGE = f'{Path(kf_imitation.__file__).parent}/'
BUS = InProcessBus.group_write.__code__.co_filename.removeprefix(PACKAGE)
STEADY = 70  # frames; from here on no keyframe falls on a frame in which a face is searched for


class _AtTheBusError(Exception):
    """The goals of the frame go out to the servos."""


class FrameTrace:
    """What the newest frame entered on its way; a profile function for sys.setprofile.

    Attributes:
        files: calls by file of the package, in the order of entry.
        changes: calls from one file of the package into another.
    """

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.changes = 0
        self._frames = 0
        self._is_keyframe = False
        self._aside: FrameType | None = None  # in a call that is not on the way

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """Count a call; raises _AtTheBusError where the way of a steady keyframe ends."""
        if event == 'return' and frame is self._aside:
            self._aside = None
        if event != 'call' or self._aside is not None:
            return
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE):
            return
        if code is (FacePipeline.push if self._is_keyframe else VirtualHead.advance).__code__:
            self._aside = frame
            return
        if code is FacePipeline.push.__code__:
            self.files.clear()
            self.changes = 0
            self._frames += 1
        elif code is VirtualHead.set_goal.__code__:
            self._is_keyframe = self._frames > STEADY
        elif code is InProcessBus.group_write.__code__ and self._is_keyframe:
            raise _AtTheBusError
        name = code.co_filename.removeprefix(PACKAGE)
        if name == BUS:
            self._aside = frame
        elif not name.startswith('camera/'):  # the next frame is read before the servo cycle
            self.files[name] += 1
            caller = frame.f_back
            self.changes += caller is not None and caller.f_code.co_filename != code.co_filename


def trace_frame(video: Path) -> FrameTrace:
    """Return what the first keyframe after STEADY frames of a video enters.

    Raises:
        KfImitationError: the video cannot be read.
        ValueError: it has no such keyframe.
    """
    values = merged_parameters()
    stages = build_stages(values, str(values['servo']['robot']))
    source = open_file(str(video), source_settings(values['camera']))
    trace = FrameTrace()
    sys.setprofile(trace)
    try:
        replay(source, stages, str(values['keyframe']['detector.mode']))
    except _AtTheBusError:
        return trace
    finally:
        sys.setprofile(None)
        source.close()
    raise ValueError(f'{video}: no keyframe after frame {STEADY}')


def main() -> None:
    """Print the files in the order of entry, and their number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('video', nargs='?', type=Path, default=share_path('media/demo.mp4'))
    trace = trace_frame(parser.parse_args().video)
    for name, calls in trace.files.items():
        print(f'{calls:6}  {name}')
    print(f'{len(trace.files)} files, {trace.changes} calls from one into another')


if __name__ == '__main__':
    main()
