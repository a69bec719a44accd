"""Read topics of a bag back as plain data; close a bag whose recorder was killed."""

import json
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Qos, QosTime
from rosbags.typesys import Stores, get_typestore

from kf_imitation.bags.mcap_recovery import ending, is_unfinished
from kf_imitation.bags.opening import OpenBag, open_bag
from kf_imitation.errors import BagError


def topics(path: Path) -> dict[str, tuple[str, int]]:
    """Message type and count by topic.

    Raises:
        BagError: it cannot be read.
    """
    with open_bag(path) as bag:
        return {name: (topic.kind, topic.count) for name, topic in bag.topics.items()}


def read_topic(path: Path, topic: str) -> Iterator[tuple[int, Any]]:
    """Messages of a topic in the order of the bag.

    Args:
        path: bag folder or file.
        topic: with or without the leading slash.

    Yields:
        (time in the bag [ns], message).

    Raises:
        BagError: it cannot be read, or lacks the topic (says which it has).
    """
    with open_bag(path) as bag:
        yield from messages_of(bag, topic)


def messages_of(bag: OpenBag, topic: str) -> Iterator[tuple[int, Any]]:
    """As read_topic, of a bag that is open."""
    name = topic if topic.startswith('/') else f'/{topic}'
    if name not in bag.topics:
        raise BagError(f'bag {bag.path}: has no topic {name} (has {bag.held})')
    for message in bag.messages({name}):
        yield message.stamp_ns, bag.decode(message)


def read_joints(
    bag: OpenBag, topic: str = 'joint_states'
) -> tuple[NDArray[np.int64], tuple[str, ...], NDArray[np.float64]]:
    """A JointState topic (joints, expression, explanation).

    Returns:
        (N,) header stamps [ns], the J names of the first message, and (N, J) positions.

    Raises:
        BagError: as read_topic, or the names change in between.
    """
    stamps: list[int] = []
    rows: list[NDArray[np.float64]] = []
    names: tuple[str, ...] = ()
    for _, message in messages_of(bag, topic):
        names = names or tuple(message.name)
        if tuple(message.name) != names:
            raise BagError(f'bag {bag.path}: {topic} changes its names at message {len(rows)}')
        stamps.append(header_stamp_ns(message))
        rows.append(np.asarray(message.position, np.float64))
    positions = np.array(rows, np.float64).reshape(len(rows), len(names))
    return np.array(stamps, np.int64), names, positions


def header_stamp_ns(message: Any) -> int:
    """Header stamp of a message [ns]; Foxglove's messages have a timestamp instead."""
    stamp = message.header.stamp if hasattr(message, 'header') else message.timestamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def repair_bag(path: Path) -> int:
    """Close a bag that was not closed, for other programs; ours read it as it is.

    What is incomplete is cut off, index and metadata.yaml are written.

    Args:
        path: bag folder with one .mcap file (BagWriter makes one); a closed bag stays as it is.

    Returns:
        Number of messages.

    Raises:
        BagError: there is nothing to repair.
    """
    files = sorted(path.glob('*.mcap')) if path.is_dir() else []
    if len(files) != 1:
        raise BagError(f'bag {path}: must be a folder with one .mcap file, has {len(files)}')
    try:
        if is_unfinished(files[0]):
            with files[0].open('r+b') as file:
                end, tail = ending(file)
                file.seek(end)
                file.truncate()
                file.write(tail)
        with open_bag(files[0]) as bag:
            if not (path / 'metadata.yaml').is_file():
                _write_metadata(path / 'metadata.yaml', files[0].name, bag)
            return bag.message_count
    except OSError as error:
        raise BagError(f'bag {path}: cannot be repaired: {error.strerror}') from error


def _plain(profiles: Sequence[Qos]) -> list[dict[str, Any]]:
    """Return qualities of service as metadata.yaml has them."""

    def value(part: object) -> object:
        if isinstance(part, Enum):
            return part.name.lower()
        return part._asdict() if isinstance(part, QosTime) else part

    return [{k: value(part) for k, part in profile._asdict().items()} for profile in profiles]


def _write_metadata(path: Path, file_name: str, bag: OpenBag) -> None:
    # JSON is YAML; rosbag2 and rosbags read both.
    store = get_typestore(Stores.ROS2_KILTED)
    listed = []
    for connection in bag.library.connections:
        known = connection.msgtype in store.types
        listed.append(
            {
                'topic_metadata': {
                    'name': connection.topic,
                    'type': connection.msgtype,
                    'serialization_format': 'cdr',
                    'offered_qos_profiles': _plain(connection.ext.offered_qos_profiles),
                    'type_description_hash': store.hash_rihs01(connection.msgtype)
                    if known
                    else '',
                },
                'message_count': connection.msgcount,
            }
        )
    times = {
        'duration': {'nanoseconds': bag.end_ns - bag.start_ns},
        'starting_time': {'nanoseconds_since_epoch': bag.start_ns},
        'message_count': bag.message_count,
    }
    information = {
        'version': 9,
        'storage_identifier': 'mcap',
        'relative_file_paths': [file_name],
        **times,
        'topics_with_message_count': listed,
        'compression_format': '',
        'compression_mode': '',
        'files': [{'path': file_name, **times}],
        'custom_data': None,
        'ros_distro': 'rosbags',
    }
    text = json.dumps({'rosbag2_bagfile_information': information}, indent=1)
    path.write_text(text + '\n', encoding='utf-8')
