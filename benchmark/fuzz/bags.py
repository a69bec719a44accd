"""Bags: damaged files of every kind that is read, as sources, in the player and in repair.

A bag gives what is there or says why not; only repair writes, and never loses a message.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from benchmark.fuzz.bounds import FuzzError
from benchmark.fuzz.damage import DAMAGES, damaged
from benchmark.fuzz.sources import contents, picture, play, write
from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import open_bag
from kf_imitation.bags.playback import BagPlay
from kf_imitation.bags.reader import read_topic, repair_bag, topics
from kf_imitation.bags.writer import BagWriter
from kf_imitation.camera.sources import make_source
from kf_imitation.data_types import CameraModel
from kf_imitation.errors import BagError, SourceError
from kf_imitation.parameters.settings import SourceSettings

T0, DT = 1_700_000_000 * 10**9, 33_333_333
FRAMES = 6


def run(data: st.DataObject) -> Counter[str]:
    """Read, play and repair one damaged bag."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        name = data.draw(st.sampled_from(sorted(seeds())), label='seed')
        files = dict(seeds()[name])
        broken = data.draw(st.sampled_from(sorted(files)), label='file')
        files[broken] = damaged(files[broken], data.draw(DAMAGES, label='damage'))
        if data.draw(st.integers(0, 5), label='lost') == 0:
            del files[data.draw(st.sampled_from(sorted(files)), label='which')]
        write(folder, files)
        path = folder / name
        if not path.exists():
            return Counter(gone=1)
        before = contents(folder)
        counts = _source(path) + _player(path)
        if contents(folder) != before:
            raise FuzzError('the files have changed')
        return counts + _repair(path)


@cache
def seeds() -> dict[str, dict[str, bytes]]:
    """Files by path, of good bags by name."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with BagWriter(root / 'ours', minimum_free_mb=0) as writer:
            bag = BagTopics(writer)
            for index in range(FRAMES):
                stamp_ns = T0 + index * DT
                bag.camera_info(CameraModel(64, 48, 50.0), stamp_ns, 'cam/camera_info')
                bag.image('cam/image_raw', picture(index), stamp_ns)
                bag.score(0.1 * index, stamp_ns)
                bag.joints('joint_states', ['jaw'], [0.1 * index], stamp_ns)
        with BagWriter(root / 'jpeg', minimum_free_mb=0) as writer:
            for index in range(FRAMES):
                BagTopics(writer).jpeg('cam/compressed', picture(index), T0 + index * DT)
        _foreign(root)
        bags = {'ours': root / 'ours', 'jpeg': root / 'jpeg', 'sqlite': root / 'sqlite'}
        found = {
            name: {f'{name}/{file}': content for file, content in contents(path).items()}
            for name, path in bags.items()
        }
        mcap = next(c for name, c in found['ours'].items() if name.endswith('.mcap'))
        # As a killed recorder leaves it, in a folder and as a file, and a bag of ROS 1.
        found['killed'] = {'killed/killed_0.mcap': mcap[: len(mcap) * 2 // 3]}
        found['file.mcap'] = {'file.mcap': mcap}
        found['old.bag'] = {'old.bag': (root / 'old.bag').read_bytes()}
        return found


def _foreign(root: Path) -> None:
    """Write a bag of SQLite and one of ROS 1, as others do."""
    store = get_typestore(Stores.ROS2_KILTED)
    with Writer(root / 'sqlite', version=9, storage_plugin=StoragePlugin.SQLITE3) as two:
        connection = two.add_connection('/cam', 'sensor_msgs/msg/Image', typestore=store)
        for stamp_ns, message in _images(store.types):
            two.write(connection, stamp_ns, store.serialize_cdr(message, message.__msgtype__))
    old = get_typestore(Stores.ROS1_NOETIC)
    with Ros1Writer(root / 'old.bag') as one:
        made = one.add_connection('/cam', 'sensor_msgs/msg/Image', typestore=old)
        for stamp_ns, message in _images(old.types, seq=0):
            one.write(made, stamp_ns, old.serialize_ros1(message, message.__msgtype__))


def _images(types: Any, **extra: int) -> Iterator[tuple[int, Any]]:
    for index in range(FRAMES):
        seconds, nanoseconds = divmod(T0 + index * DT, 10**9)
        stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
        yield (
            T0 + index * DT,
            types['sensor_msgs/msg/Image'](
                header=types['std_msgs/msg/Header'](stamp=stamp, frame_id='cam', **extra),
                height=48,
                width=64,
                encoding='bgr8',
                is_bigendian=0,
                step=192,
                data=np.ascontiguousarray(picture(index)).reshape(-1),
            ),
        )


def _source(path: Path) -> Counter[str]:
    try:
        return Counter(played=1, frames=play(make_source(str(path), SourceSettings())))
    except SourceError as error:
        if path.name not in str(error) or '\n' in str(error):
            raise FuzzError(f'does not say which bag: {error}') from error
        return Counter(refused=1)


def _player(path: Path) -> Counter[str]:
    try:
        with open_bag(path) as bag:
            played = sum(1 for _ in BagPlay(bag, (), 0.0).messages(later_ns=DT))
        for topic in topics(path):
            for _ in read_topic(path, topic):
                pass
    except BagError:
        return Counter(unplayable=1)
    return Counter(messages=played)


def _repair(path: Path) -> Counter[str]:
    before = _readable(path)
    try:
        repair_bag(path)
    except BagError:
        if _readable(path) < before:
            raise FuzzError('repair failed, and lost messages') from None
        return Counter(unrepaired=1)
    if _readable(path) < before:
        raise FuzzError(f'repair left {_readable(path)} of {before} messages')
    return Counter(repaired=1)


def _readable(path: Path) -> int:
    """Return how many messages come out of a bag."""
    count = 0
    try:
        with open_bag(path) as bag:
            for _ in bag.messages(bag.topics):
                count += 1
    except BagError:
        pass
    return count
