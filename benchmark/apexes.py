"""Person and robot at the largest apexes of labelled clips, both drawn: do they look alike?

    python -m benchmark.apexes ../shared/data/clips/dev --out docs/images/apexes.jpg

Above, what the labels say of the person; below, what the simulated servos show after the one delay
that fits best (docs/offline.md). The title is the channel, the person's value and the robot's. Of
apexes within half a second only the largest is shown. No picture of the person is used.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kf_imitation.data_types import CHANNELS, UNIT_CHANNELS, FloatArray, Image
from kf_imitation.evaluation.imitation.clip import Clip, ClipReader
from kf_imitation.evaluation.imitation.figures import measure_sizes
from kf_imitation.evaluation.imitation.imitator import LANDMARKS, Imitator
from kf_imitation.evaluation.imitation.size import LEFT_OUT_S, apexes
from kf_imitation.evaluation.labels import find_clips
from kf_imitation.robot import RobotConfig, load_robot
from kf_imitation.robot.joint_mapping import JointMapping
from kf_imitation.ros_graph.nodes import merged_parameters
from kf_imitation.visualization.avatar import draw_face
from kf_imitation.visualization.drawing import label

APART_NS = 500_000_000
COLUMNS, SIZE_PX = 10, 150


@dataclass(frozen=True)
class Apex:
    """One apex of a person.

    Attributes:
        channel: place in CHANNELS.
        stamp_ns: of the frame.
        human: (19,) channels of the labels.
        robot: (19,) channels that the robot shows a delay later.
    """

    channel: int
    stamp_ns: int
    human: FloatArray
    robot: FloatArray

    @property
    def title(self) -> str:
        """Channel, the person's value, the robot's."""
        name = CHANNELS[self.channel].removeprefix('mouth_').replace('_', ' ')
        return f'{name} {self.human[self.channel]:.2f} {self.robot[self.channel]:.2f}'


def apexes_of(
    imitator: Imitator, robot: RobotConfig, clip: Clip, channels: str = LANDMARKS
) -> list[Apex]:
    """Imitate a clip by the default mode and return its apexes, the largest first.

    Args:
        imitator: with the robot.
        robot: whose joints show the channels.
        clip: prepared.
        channels: as in Imitator.measure.
    """
    mode = imitator.settings.mode
    _, joints = imitator.run(clip, mode, channels, imitator.budget(mode))
    shown = imitator.robot_channels(joints)
    delay_s = np.nan_to_num(measure_sizes(clip, joints, shown, robot).joints.delay_s)
    used = np.flatnonzero(JointMapping(robot).used[: len(UNIT_CHANNELS)]).tolist()
    found = []
    for channel in used:
        for frame, sign in apexes(clip.human[:, channel]):
            stamp_ns = int(clip.stamps_ns[frame])
            early = stamp_ns < clip.stamps_ns[0] + LEFT_OUT_S * 1e9
            if sign < 0 or early or not clip.valid[frame]:
                continue
            row = int(np.searchsorted(joints.stamp_ns, stamp_ns + round(delay_s * 1e9)))
            pose = shown[min(row, len(shown) - 1)]
            human = clip.human[frame].astype(np.float32)
            found.append(Apex(channel, stamp_ns, human, pose.astype(np.float32)))
    return apart(sorted(found, key=lambda apex: -float(apex.human[apex.channel])))


def apart(found: Sequence[Apex]) -> list[Apex]:
    """Leave out what is near an apex before it in the list."""
    kept: list[Apex] = []
    for apex in found:
        if all(abs(apex.stamp_ns - other.stamp_ns) >= APART_NS for other in kept):
            kept.append(apex)
    return kept


def sheet(found: Sequence[Apex]) -> Image:
    """Return the picture: two faces per apex, COLUMNS in a row."""
    cells = []
    for apex in found:
        person, robot = draw_face(apex.human, SIZE_PX), draw_face(apex.robot, SIZE_PX)
        label(person, apex.title, (4, 12), scale=0.33)
        cells.append(np.vstack([person, robot]))
    cells += [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
    rows = [np.hstack(cells[k : k + COLUMNS]) for k in range(0, len(cells), COLUMNS)]
    return np.vstack(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('clips', type=Path)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--robot', default='sim_face')
    parser.add_argument('--count', type=int, default=20)
    args = parser.parse_args()
    robot, values = load_robot(args.robot), merged_parameters()
    imitator, reader = Imitator(robot, values), ClipReader(values)
    found: list[Apex] = []
    for path in find_clips(args.clips):
        found += apexes_of(imitator, robot, reader.read(path))
        print(path.stem, flush=True)
    largest = sorted(found, key=lambda apex: -float(apex.human[apex.channel]))[: args.count]
    for apex in largest:
        print(apex.title)
    cv2.imwrite(str(args.out), sheet(largest), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == '__main__':
    main()
