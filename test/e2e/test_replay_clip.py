"""Replay of a real clip with the real models: what a user sees and can rely on."""

import csv
import hashlib
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader

from kf_imitation.bags.messages import BagTopics
from kf_imitation.bags.writer import BagWriter
from kf_imitation.cli import main as cli
from kf_imitation.data_types import CHANNELS
from kf_imitation.replay.csv_writer import seconds
from kf_imitation.robot import load_robot

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / 'media' / 'demo.mp4'
MANIFEST = ROOT / 'models' / 'manifest.yaml'
FRAMES = 60  # of the clip; enough for a smile, a blink and a turn

pytestmark = pytest.mark.skipif(
    not (CLIP.is_file() and MANIFEST.is_file()), reason='media/demo.mp4 or models are not made yet'
)


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """The beginning of the demo clip, so that the test stays short."""
    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    source = cv2.VideoCapture(str(CLIP))
    size = int(source.get(cv2.CAP_PROP_FRAME_WIDTH)), int(source.get(cv2.CAP_PROP_FRAME_HEIGHT))
    fps = source.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, size)
    for _ in range(FRAMES):
        good, frame = source.read()
        if not good:
            break
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture(scope='module')
def out(clip, tmp_path_factory):
    folder = tmp_path_factory.mktemp('replay') / 'out'
    assert cli.main(['replay', str(clip), '--out', str(folder), '--summary']) == 0
    return folder


def rows(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def frame_count(path):
    source, count = cv2.VideoCapture(str(path)), 0
    while source.grab():
        count += 1
    return count


def test_every_frame_is_in_the_table_and_has_a_score_once_the_face_is_confirmed(out, clip):
    scores = rows(out / 'scores.csv')
    assert [int(r['frame']) for r in scores] == list(range(frame_count(clip)))
    assert list(scores[0]) == ['frame', 'stamp_s', 'score', 'keyframe', 'committed_s']
    unscored = [r['frame'] for r in scores if not r['score']]
    assert set(unscored) <= {'0', '1'}  # a face counts once two frames show it
    values = np.array([float(r['score']) for r in scores if r['score']])
    assert (values >= 0).all() and (values <= 1).all()
    assert values.max() - values.min() > 0.1


def test_keyframes_are_committed_after_they_happened_and_within_the_delay(out):
    keyframes = [r for r in rows(out / 'scores.csv') if r['keyframe'] == '1']
    assert len(keyframes) >= 2
    for row in keyframes:
        delay = float(row['committed_s']) - float(row['stamp_s'])
        assert 0 <= delay <= 0.25


def test_every_keyframe_has_channels_in_their_range(out):
    keyframes = [r for r in rows(out / 'scores.csv') if r['keyframe'] == '1']
    expressions = rows(out / 'expression.csv')
    assert [r['stamp_s'] for r in expressions] == [r['stamp_s'] for r in keyframes]
    for row in expressions:
        assert all(-1.6 <= float(row[name]) <= 1.6 for name in CHANNELS)
        assert all(0 <= float(row[f'{name}_confidence']) <= 1 for name in CHANNELS)


def test_the_joints_move_inside_the_limits_of_the_robot_file(out):
    joints = rows(out / 'joints.csv')
    stamps = np.array([float(r['stamp_s']) for r in joints])
    assert np.diff(stamps) == pytest.approx(0.01)
    moved = 0
    for joint in load_robot('sim_face').joints:
        low, high = joint.limits_rad
        for kind in ('goal', 'commanded', 'present'):
            values = np.array([float(r[f'{joint.name}_{kind}_rad']) for r in joints])
            assert values.min() >= low - 0.02 and values.max() <= high + 0.02, (joint.name, kind)
        moved += np.ptp(values) > 0.05
        speed = np.abs(np.diff([float(r[f'{joint.name}_commanded_rad']) for r in joints])) * 100
        assert speed.max() <= joint.max_velocity_rad_s * 1.01, joint.name
    assert moved >= 3


def test_only_reflex_joints_move_before_the_first_commitment(out):
    reflexes = tuple(f'{name}_goal_rad' for name in load_robot('sim_face').reflex)
    first = min(float(r['committed_s']) for r in rows(out / 'expression.csv'))
    for row in rows(out / 'joints.csv'):
        if float(row['stamp_s']) <= first:
            goals = {k: float(v) for k, v in row.items() if k.endswith('goal_rad')}
            assert all(abs(v) < 1e-6 for k, v in goals.items() if k not in reflexes)


def test_the_bag_holds_the_same_results_as_the_tables(out):
    scores, joints = rows(out / 'scores.csv'), rows(out / 'joints.csv')
    with AnyReader([out / 'bag']) as bag:
        counts = {c.topic: c.msgcount for c in bag.connections}
        states = [
            bag.deserialize(data, connection.msgtype)
            for connection, _, data in bag.messages()
            if connection.topic == '/face/expression'
        ]
    keyframes = sum(r['keyframe'] == '1' for r in scores)
    # The very first frame has nothing before it: 0 in the table, no message.
    assert counts['/keyframe/score'] == sum(bool(r['score']) for r in scores[1:])
    assert counts['/keyframe/explanation'] == len(scores) + keyframes
    assert counts['/face/region'] == len(scores)
    assert counts['/face/reflex'] == len(rows(out / 'reflex.csv')) > len(scores) / 2
    for topic in ('/face/landmarks', '/face/expression', '/face/head_pose'):
        assert counts[topic] == keyframes, topic
    assert counts['/servo/joint_commands'] == counts['/joint_states'] == len(joints)
    table = rows(out / 'expression.csv'), rows(out / 'shapes.csv')
    assert all(len(message.name) == 70 for message in states)
    for message, row in zip(states, map(dict.__or__, *table), strict=True):
        assert message.position == pytest.approx([float(row[n]) for n in message.name], abs=1e-6)


def test_the_picture_is_a_picture(out):
    picture = cv2.imread(str(out / 'summary.png'))
    assert picture.shape[1] > 1200 and picture.std() > 20


def test_a_report_of_the_replay_and_one_of_its_bag_show_every_keyframe(out, tmp_path):
    keyframes = sum(r['keyframe'] == '1' for r in rows(out / 'scores.csv'))
    runs = ((out, keyframes, []), (out, 0, ['--no-images']), (out / 'bag', 0, []))
    for number, (source, pictures, options) in enumerate(runs):
        page = tmp_path / f'{number}.html'
        assert cli.main(['report', str(source), '--out', str(page), *options]) == 0
        text = page.read_text().split('type="application/json">')[1]
        data = json.loads(text.split('</script>')[0])
        assert len(data['keyframes']) == keyframes
        assert sum(bool(k['picture']) for k in data['keyframes']) == pictures
        assert bool(data['player']['pictures']) == bool(pictures)
        assert len(data['player']['rad']) == len(data['player']['joints'])
        assert len(data['joints']) >= 5 and len(data['channels']) == 6


def test_the_same_clip_gives_the_same_bytes(out, clip, tmp_path):
    again = tmp_path / 'again'
    command = [
        sys.executable,
        '-m',
        'kf_imitation.cli.main',
        'replay',
        str(clip),
        '--out',
        str(again),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    tables = ('scores.csv', 'expression.csv', 'shapes.csv', 'reflex.csv', 'joints.csv')
    for name in (*tables, 'bag/bag.mcap'):
        assert digest(out / name) == digest(again / name), name


def test_the_side_by_side_video_has_every_frame(clip, tmp_path):
    short, video = tmp_path / 'short.mp4', tmp_path / 'side.mp4'
    source = cv2.VideoCapture(str(clip))
    size = int(source.get(cv2.CAP_PROP_FRAME_WIDTH)), int(source.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(str(short), cv2.VideoWriter.fourcc(*'mp4v'), 30, size)
    for _ in range(12):
        writer.write(source.read()[1])
    writer.release()
    assert replay(short, tmp_path / 'out', '--video', video) == 0
    assert frame_count(video) == 12


def replay(clip, out, *options):
    return cli.main(['replay', str(clip), '--out', str(out), *map(str, options)])


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rejected(capsys, *arguments):
    """Run and return the message of a run that has to be rejected."""
    assert replay(*arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith('kf_imitation: ') and 'Traceback' not in message
    return message


def started(*arguments, **options):
    command = [sys.executable, '-m', 'kf_imitation.cli.main', 'replay', *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, **options)


def not_ignored():
    """Give a child the signals' default actions, as a terminal does."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.timeout(400)  # a busy machine needs long until the bag begins
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_replay_that_is_stopped_leaves_nothing(tmp_path, number):
    process = started(
        *(CLIP, '--out', tmp_path / 'out', '--video', tmp_path / 'side.mp4'),
        preexec_fn=not_ignored,  # a runner under nohup, or in the background, hands that on
    )
    end = time.monotonic() + 200
    while not list(tmp_path.glob('.partial-*-out/bag/*.mcap')):
        assert time.monotonic() < end
        with pytest.raises(subprocess.TimeoutExpired):  # it goes on
            process.wait(0.02)
    process.send_signal(number)
    process.send_signal(number)  # impatient users do it twice
    _, err = process.communicate(timeout=100)
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number), err
    assert 'Traceback' not in err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(clip, tmp_path):
    limit = 60_000  # of every file, as if the disk had no more
    process = started(
        *(clip, '--out', tmp_path / 'out'),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, err = process.communicate(timeout=110)
    assert process.returncode == 2, err
    told = [line for line in err.splitlines() if line.startswith('kf_imitation: ')]
    assert len(told) == 1 and 'File too large' in told[0] and 'Traceback' not in err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_video_is_rejected_in_one_line(tmp_path, capsys):
    message = rejected(capsys, tmp_path / 'nothing.mp4', tmp_path / 'out')
    assert 'nothing.mp4' in message and message.count('\n') == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_video_is_rejected_in_one_line(tmp_path, capsys):
    (tmp_path / 'bad.mp4').write_bytes(b'this is no video' * 100)
    message = rejected(capsys, tmp_path / 'bad.mp4', tmp_path / 'out')
    assert 'bad.mp4' in message and message.count('\n') == 1
    assert [p.name for p in tmp_path.iterdir()] == ['bad.mp4']


def test_a_wrong_robot_file_is_rejected_with_all_its_faults(clip, tmp_path, capsys):
    robot = yaml.safe_load((ROOT / 'config/robots/sim_face.yaml').read_text())
    robot['joints'][0]['limits_rad'] = [0.5, -0.5]
    robot['joints'][1]['id'] = 'two'
    robot['joints'][2]['colour'] = 'red'
    path = tmp_path / 'robot.yaml'
    path.write_text(yaml.safe_dump(robot))
    message = rejected(capsys, clip, tmp_path / 'out', '--robot', path)
    assert 'limits_rad' in message and 'id' in message and 'colour' in message
    assert [p.name for p in tmp_path.iterdir()] == ['robot.yaml']


def test_an_altered_model_is_rejected(clip, tmp_path, capsys, monkeypatch):
    models = tmp_path / 'models'
    shutil.copytree(ROOT / 'models', models)
    manifest = yaml.safe_load((models / 'manifest.yaml').read_text())
    file = models / manifest['models']['keyframe_default']['file']
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    from kf_imitation import model_files

    monkeypatch.setattr(model_files, 'share_path', lambda name: tmp_path / name)
    message = rejected(capsys, clip, tmp_path / 'out')
    assert 'sha256' in message and message.count('\n') == 1
    assert [p.name for p in tmp_path.iterdir()] == ['models']


def test_an_existing_folder_is_rejected_and_stays_as_it_is(clip, tmp_path, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'mine.txt').write_text('mine')
    message = rejected(capsys, clip, out)
    assert 'exists already' in message and '--overwrite' in message
    assert (out / 'mine.txt').read_text() == 'mine'


def test_a_camera_is_no_source_for_replay(tmp_path, capsys):
    message = rejected(capsys, '/dev/video98', tmp_path / 'out')
    assert '/dev/video98' in message
    assert list(tmp_path.iterdir()) == []


def test_a_faulty_parameter_file_is_rejected(clip, tmp_path, capsys):
    params = tmp_path / 'params.yaml'
    section = {'ros__parameters': {'detector': {'prominence': 3, 'mode': 'peek'}}}
    params.write_text(json.dumps({'keyframe': section}))
    message = rejected(capsys, clip, tmp_path / 'out', '--params', params)
    assert 'prominence' in message and 'mode' in message


def test_bags_that_cannot_be_replayed_are_reported_in_one_line(tmp_path, capsys):
    def told(source, *options):
        message = rejected(capsys, source, tmp_path / 'out', *options)
        assert message.count('\n') == 1 and not (tmp_path / 'out').exists()
        return message

    picture = np.full((48, 64, 3), 90, np.uint8)
    with BagWriter(tmp_path / 'scores') as writer:
        BagTopics(writer).score(0.5, 1)
    assert 'holds no image topic (holds /keyframe/score)' in told(tmp_path / 'scores')
    with BagWriter(tmp_path / 'two') as writer:
        BagTopics(writer).image('/a', picture, 1)
        BagTopics(writer).image('/b', picture, 1)
    assert 'name one: /a, /b' in told(tmp_path / 'two')
    assert 'no image topic /c (image topics: /a, /b)' in told(tmp_path / 'two', '--topic', '/c')
    with BagWriter(tmp_path / 'odd') as writer:
        types = writer.types
        head = types['std_msgs/msg/Header'](types['builtin_interfaces/msg/Time'](1, 0), '')
        kind = types['sensor_msgs/msg/Image']
        writer.write('/a', kind(head, 2, 2, 'yuv999', 0, 4, np.zeros(8, np.uint8)), 1)
    odd = told(tmp_path / 'odd')
    assert '/a: not one image can be' in odd
    assert "image encoding 'yuv999' is not supported (one of:" in odd
    file = tmp_path / 'two' / 'two.mcap'
    file.write_bytes(file.read_bytes()[:-50])
    assert 'two.mcap is cut off' in told(tmp_path / 'two')
    (tmp_path / 'junk.mcap').write_bytes(b'junk' * 99)
    assert 'junk.mcap: cannot be read' in told(tmp_path / 'junk.mcap')


def test_a_bag_with_images_gives_the_scores_of_the_video(tmp_path):
    start_ns, count = 1_750_000_000_123_456_789, 20
    source = cv2.VideoCapture(str(CLIP))
    size = int(source.get(cv2.CAP_PROP_FRAME_WIDTH)), int(source.get(cv2.CAP_PROP_FRAME_HEIGHT))
    frames = [source.read()[1] for _ in range(count)]
    folder = tmp_path / 'images'
    folder.mkdir()
    stamps = [start_ns + round(i / 30 * 1e9) for i in range(count)]
    with BagWriter(tmp_path / 'bag') as writer:
        for index, (frame, stamp_ns) in enumerate(zip(frames, stamps, strict=True)):
            BagTopics(writer).image('image_raw', frame, stamp_ns)
            cv2.imwrite(str(folder / f'{index:03d}.png'), frame)
    assert frames[0].shape[:2] == size[::-1]
    assert replay(tmp_path / 'bag', tmp_path / 'from_bag') == 0
    assert replay(folder, tmp_path / 'from_folder') == 0
    bag, images = (rows(tmp_path / name / 'scores.csv') for name in ('from_bag', 'from_folder'))
    assert [r['score'] for r in bag] == [r['score'] for r in images]
    assert bag[3]['stamp_s'] == seconds(stamps[3])
    assert sum(bool(r['score']) for r in bag) >= count - 2
