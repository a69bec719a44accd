"""Bags of other programs are read by ours, ours by others; damage is told in one line."""

import logging
import random
import sqlite3

import cv2
import numpy as np
import pytest
import yaml
from bag_scores import read_scores
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.opening import open_bag
from kf_imitation.bags.writer import BagWriter
from kf_imitation.camera.sources import open_source
from kf_imitation.errors import BagError, SourceError
from kf_imitation.parameters.settings import SourceSettings

S = 1_000_000_000
COUNT = 6
STORES = [s for s in Stores if s.name.startswith('ROS2_') and s.name >= 'ROS2_HUMBLE']


def picture(number):
    image = np.full((48, 64, 3), 20 + 30 * number, np.uint8)
    image[:, 32:] = (200, 90, 10)
    return image


def header(types, stamp_ns):
    return types['std_msgs/msg/Header'](
        stamp=types['builtin_interfaces/msg/Time'](sec=stamp_ns // S, nanosec=stamp_ns % S),
        frame_id='eye',
    )


def image_message(types, number, compressed):
    head = header(types, 7 * S + number * S // 10)
    if compressed:
        data = cv2.imencode('.png', picture(number))[1].reshape(-1)
        kind = types['sensor_msgs/msg/CompressedImage']
        return kind(header=head, format='bgr8; png compressed bgr8', data=data)
    return types['sensor_msgs/msg/Image'](
        header=head,
        height=48,
        width=64,
        encoding='rgb8',
        is_bigendian=0,
        step=192,
        data=np.ascontiguousarray(picture(number)[:, :, ::-1]).reshape(-1),
    )


def write_foreign(folder, plugin, store, version=9, compressed=False, mode=None):
    """A bag as a robot's own recorder would make it, with other topics beside the images."""
    store = get_typestore(store)
    writer = Writer(folder, version=version, storage_plugin=plugin)
    if mode is not None:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        kind = f'sensor_msgs/msg/{"Compressed" if compressed else ""}Image'
        images = writer.add_connection('/cam/front', kind, typestore=store)
        other = writer.add_connection('/chatter', 'std_msgs/msg/String', typestore=store)
        for number in range(COUNT):
            time_ns = 7 * S + number * S // 10 + 5
            message = image_message(store.types, number, compressed)
            writer.write(images, time_ns, store.serialize_cdr(message, kind))
            text = store.types['std_msgs/msg/String'](data='hello')
            writer.write(other, time_ns, store.serialize_cdr(text, 'std_msgs/msg/String'))
    return folder


def read_all(path, **settings):
    source = open_source(str(path), SourceSettings(**settings))
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def expect_pictures(frames):
    assert [f.stamp_ns for f in frames] == [7 * S + i * S // 10 for i in range(COUNT)]
    for number, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.bgr, picture(number))


@pytest.mark.parametrize('compressed', [False, True], ids=['raw', 'compressed'])
@pytest.mark.parametrize('plugin', list(StoragePlugin), ids=lambda p: p.name.lower())
@pytest.mark.parametrize('store', STORES, ids=lambda s: s.name.lower())
def test_images_of_every_ros_version_and_storage_are_read(tmp_path, store, plugin, compressed):
    version = 8 if store.name in ('ROS2_HUMBLE', 'ROS2_IRON') else 9
    bag = write_foreign(tmp_path / 'bag', plugin, store, version, compressed)
    expect_pictures(read_all(bag))


@pytest.mark.parametrize('plugin', list(StoragePlugin), ids=lambda p: p.name.lower())
@pytest.mark.parametrize('version', range(1, 8))
def test_the_metadata_of_older_versions_is_read(tmp_path, plugin, version):
    """Humble wrote version 5, Iron 6 and 7; what a version lacks is taken away here."""
    bag = write_foreign(tmp_path / 'bag', plugin, Stores.ROS2_HUMBLE, 8)
    document = yaml.safe_load((bag / 'metadata.yaml').read_text())
    info = document['rosbag2_bagfile_information']
    info['version'] = version
    for since, key in ((5, 'files'), (6, 'custom_data'), (8, 'ros_distro')):
        if version < since:
            info.pop(key)
    for topic in info['topics_with_message_count']:
        metadata = topic['topic_metadata']
        if version < 7:
            metadata.pop('type_description_hash')
        if version < 4:
            metadata.pop('offered_qos_profiles')
    if version < 3:
        del info['compression_format'], info['compression_mode']
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(document))
    expect_pictures(read_all(bag))


def test_a_humble_database_without_definitions_is_read(tmp_path):
    bag = write_foreign(tmp_path / 'bag', StoragePlugin.SQLITE3, Stores.ROS2_HUMBLE, 8)
    with sqlite3.connect(bag / 'bag.db3') as database:
        database.execute('UPDATE schema SET schema_version = 3')
        database.execute('DROP TABLE message_definitions')
        database.execute('ALTER TABLE topics DROP COLUMN type_description_hash')
    database.close()
    expect_pictures(read_all(bag))


@pytest.mark.parametrize('mode', ['FILE', 'MESSAGE', 'STORAGE'])
def test_compressed_bags_are_read(tmp_path, mode):
    mode = CompressionMode[mode]
    bag = write_foreign(tmp_path / 'bag', StoragePlugin.MCAP, Stores.ROS2_JAZZY, mode=mode)
    expect_pictures(read_all(bag))


def test_a_cut_bag_with_compressed_chunks_is_read_up_to_there(tmp_path, caplog):
    bag = write_foreign(
        tmp_path / 'bag', StoragePlugin.MCAP, Stores.ROS2_JAZZY, mode=CompressionMode.STORAGE
    )
    data = (bag / 'bag.mcap').read_bytes()
    (tmp_path / 'cut.mcap').write_bytes(data[:-40])
    expect_pictures(read_all(tmp_path / 'cut.mcap'))
    assert 'was not closed' in caplog.text


@pytest.mark.parametrize('plugin', list(StoragePlugin), ids=lambda p: p.name.lower())
def test_metadata_that_is_missing_or_too_new_is_passed_over(tmp_path, plugin):
    bag = write_foreign(tmp_path / 'bag', plugin, Stores.ROS2_LYRICAL)
    text = (bag / 'metadata.yaml').read_text()
    for content in (text.replace('version: 9', 'version: 99'), '{', ''):
        (bag / 'metadata.yaml').write_text(content)
        expect_pictures(read_all(bag))
    (bag / 'metadata.yaml').unlink()
    expect_pictures(read_all(bag))


def test_a_split_bag_is_read_as_one(tmp_path):
    whole = write_foreign(tmp_path / 'whole', StoragePlugin.MCAP, Stores.ROS2_KILTED)
    split = tmp_path / 'split'
    split.mkdir()
    for part in range(2):
        store = get_typestore(Stores.ROS2_KILTED)
        with Writer(split / f'p{part}', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            kind = 'sensor_msgs/msg/Image'
            images = writer.add_connection('/cam/front', kind, typestore=store)
            for number in range(3 * part, 3 * part + 3):
                data = store.serialize_cdr(image_message(store.types, number, False), kind)
                writer.write(images, 7 * S + number * S // 10, data)
        (split / f'p{part}' / f'p{part}.mcap').rename(split / f'split_{part}.mcap')
    document = yaml.safe_load((whole / 'metadata.yaml').read_text())
    info = document['rosbag2_bagfile_information']
    info['relative_file_paths'] = ['split_0.mcap', 'split_1.mcap']
    (split / 'metadata.yaml').write_text(yaml.safe_dump(document))
    expect_pictures(read_all(split))
    (split / 'metadata.yaml').unlink()
    expect_pictures(read_all(split))


def test_an_announced_image_topic_without_messages_is_no_choice(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.declare('/empty', 'sensor_msgs/msg/Image')
        BagTopics(writer).image('/full', picture(1), S)
    assert len(read_all(tmp_path / 'bag')) == 1


# -- the mcap library --------------------------------------------------------------------------


def test_a_bag_of_the_mcap_library_is_read(tmp_path):
    mcap_ros2 = pytest.importorskip('mcap_ros2.writer', reason='mcap-ros2-support is missing')
    store = get_typestore(Stores.ROS2_JAZZY)
    text = store.generate_msgdef('sensor_msgs/msg/Image', ros_version=2)[0]
    path = tmp_path / 'theirs.mcap'
    with path.open('wb') as file:
        writer = mcap_ros2.Writer(file)
        schema = writer.register_msgdef('sensor_msgs/msg/Image', text)
        for number in range(COUNT):
            stamp = 7 * S + number * S // 10
            message = {
                'header': {'stamp': {'sec': stamp // S, 'nanosec': stamp % S}, 'frame_id': 'eye'},
                'height': 48,
                'width': 64,
                'encoding': 'bgr8',
                'is_bigendian': 0,
                'step': 192,
                'data': picture(number).tobytes(),
            }
            writer.write_message(
                topic='/cam', schema=schema, message=message, log_time=stamp, publish_time=stamp
            )
        writer.finish()
    expect_pictures(read_all(path))
    # As if it had been killed at its end: this library closes its only chunk there.
    path.write_bytes(path.read_bytes()[:-40])
    expect_pictures(read_all(path))


def write_ours(folder):
    with BagWriter(folder) as writer:
        for i in range(20):
            BagTopics(writer).score(i / 100, 5 * S + i * S // 10)
        BagTopics(writer).image('image_raw', picture(3), 6 * S)
    return folder


def test_the_mcap_library_reads_our_bag(tmp_path):
    reader = pytest.importorskip('mcap.reader', reason='mcap is missing')
    decoder = pytest.importorskip('mcap_ros2.decoder', reason='mcap-ros2-support is missing')
    bag = write_ours(tmp_path / 'bag')
    with (bag / 'bag.mcap').open('rb') as file:
        messages = reader.make_reader(file, decoder_factories=[decoder.DecoderFactory()])
        summary = messages.get_summary()
        assert summary.statistics.message_count == 21
        scores = []
        for _, channel, message, content in messages.iter_decoded_messages():
            if channel.topic == '/keyframe/score':
                scores.append((message.log_time, round(content.data, 6)))
            else:
                assert content.encoding == 'bgr8' and bytes(content.data) == picture(3).tobytes()
    assert scores == [(5 * S + i * S // 10, i / 100) for i in range(20)]


def test_the_mcap_library_reads_a_repaired_bag_by_its_index(tmp_path):
    reader = pytest.importorskip('mcap.reader', reason='mcap is missing')
    from kf_imitation.bags.reader import repair_bag

    data = (write_ours(tmp_path / 'bag') / 'bag.mcap').read_bytes()
    killed = tmp_path / 'killed'
    killed.mkdir()
    (killed / 'killed.mcap').write_bytes(data[: -len(data) // 20])
    count = repair_bag(killed)
    with (killed / 'killed.mcap').open('rb') as file:
        messages = reader.make_reader(file, validate_crcs=True)
        summary = messages.get_summary()
        assert summary.statistics.message_count == count
        assert len(summary.chunk_indexes) == summary.statistics.chunk_count > 0
        assert len(list(messages.iter_messages(start_time=6 * S))) > 5


# -- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize('plugin', list(StoragePlugin), ids=lambda p: p.name.lower())
def test_damage_anywhere_is_one_line(tmp_path, plugin, caplog):
    """Bytes turned over and files cut at random places: results or one clear error, no crash."""
    caplog.set_level(logging.ERROR)
    bag = write_foreign(tmp_path / 'bag', plugin, Stores.ROS2_KILTED)
    file = next(p for p in bag.iterdir() if p.stem == 'bag')
    good, rng = file.read_bytes(), random.Random(1)
    rejected = 0
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.choice((1, 20))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.5:
            del data[rng.randrange(len(data)) :]
        (tmp_path / f'bad{file.suffix}').write_bytes(data)
        try:
            read_all(tmp_path / f'bad{file.suffix}')
        except SourceError as error:
            rejected += 1
            assert '\n' not in str(error) and 'bad' in str(error)
    assert rejected > 20


def test_a_folder_of_something_else_and_an_empty_file_are_rejected(tmp_path):
    with pytest.raises(BagError, match='is not a bag'):
        open_bag(tmp_path)
    (tmp_path / 'x.db3').write_bytes(b'')
    with pytest.raises(BagError, match=r'x\.db3 is empty'):
        open_bag(tmp_path)
    (tmp_path / 'x.db3').write_bytes(b'not a database at all' * 100)
    with pytest.raises(BagError, match='cannot be read'):
        open_bag(tmp_path / 'x.db3')


def test_scores_of_a_database_are_read_as_those_of_an_mcap(tmp_path):
    store = get_typestore(Stores.ROS2_HUMBLE)
    with Writer(tmp_path / 'b', version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        topic = writer.add_connection('/keyframe/score', 'std_msgs/msg/Float32', typestore=store)
        message = store.types['std_msgs/msg/Float32'](data=0.5)
        writer.write(topic, 9, store.serialize_cdr(message, 'std_msgs/msg/Float32'))
    stamps, scores = read_scores(tmp_path / 'b')
    assert (stamps, scores) == ([9], [0.5])
