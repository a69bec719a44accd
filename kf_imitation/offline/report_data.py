"""What the report shows, read back from a bag or from the folder of a replay."""

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.camera.encodings import image_to_bgr
from kf_imitation.data_types import CHANNELS, FaceImage, FloatArray, Image, Landmarks
from kf_imitation.errors import BagError, SourceError
from kf_imitation.keyframe.detector_settings import DetectorSettings
from kf_imitation.offline.bag_reader import header_stamp_ns, read_joints, read_topic, topics
from kf_imitation.offline.labels import load_labels
from kf_imitation.offline.metrics import label_target
from kf_imitation.offline.summary import joint_groups
from kf_imitation.overlay.drawing import face_thumbnail

_PICTURE_PX = 224
# A curve with more points than a screen has columns gains nothing.
_MOST_POINTS = 3000
_CHANNEL_GROUPS = (
    ('mouth', ('jaw_open', 'mouth_pucker', 'lip_press')),
    ('mouth corners', tuple(c for c in CHANNELS if c.startswith(('mouth_smile', 'mouth_frown')))),
    ('eyes', tuple(c for c in CHANNELS if c.startswith('eye_'))),
    ('brows', tuple(c for c in CHANNELS if c.startswith('brow_'))),
    ('gaze', ('gaze_yaw', 'gaze_pitch')),
    ('head', ('head_yaw', 'head_pitch', 'head_roll')),
)

ChannelsOf = Callable[[NDArray[np.float64]], FloatArray]


@dataclass(slots=True)
class ReportData:
    """One run, ready for the page; times are seconds since its first frame.

    Attributes:
        name: of the source.
        page: what the script of the page draws, JSON-ready.
        times_ms: percentiles by stage.
        faults: sentences of the diagnostics with how often each came.
    """

    name: str
    page: dict[str, Any]
    times_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)


def read_run(
    path: Path, channels_of: ChannelsOf | None, joint_names: tuple[str, ...], labels: Path | None
) -> ReportData:
    """Read a run.

    Args:
        path: bag, or folder of a replay.
        channels_of: inverse joint mapping of the robot; None leaves the robot's channels out.
        joint_names: of that robot; a bag with other joints gets no robot channels either.
        labels: .npz beside the clip, or None to look beside the source of a replay.

    Raises:
        BagError: it cannot be read or holds no scores.
        SourceError: the labels are faulty.
    """
    is_replay = (path / 'run.json').is_file()
    bag = path / 'bag' if is_replay else path
    facts: dict[str, Any] = {}
    if is_replay:
        facts = json.loads((path / 'run.json').read_text(encoding='utf-8'))
    held = topics(bag)
    stamps, scores, keyframes, threshold = _read_explanations(bag)
    start_ns = int(stamps[0])
    time_s = (stamps - start_ns) * 1e-9
    fps = float(facts.get('fps') or _rate(time_s))
    _add_facts(keyframes, facts, scores)
    _add_pictures(bag, held, path / 'keyframes' if is_replay else None, keyframes, start_ns)
    settings = facts.get('detector') or asdict(DetectorSettings(prominence=threshold))
    return ReportData(
        name=Path(str(facts.get('source', path))).name,
        page={
            'fps': fps,
            'settings': settings,
            'run': {
                'time_s': _rounded(time_s, 4),
                'stamp_ns': (stamps - start_ns).tolist(),
                'score': [None if math.isnan(s) else round(float(s), 5) for s in scores],
            },
            'keyframes': keyframes,
            'truth_s': _truth(facts, labels),
            'channels': _channel_groups(bag, held, channels_of, joint_names, start_ns),
            'joints': _joint_curves(bag, held, start_ns),
        },
        times_ms=facts.get('times_ms', {}),
        faults=_faults(bag, held),
    )


def _read_explanations(
    bag: Path,
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[dict[str, Any]], float]:
    frames: dict[int, float] = {}
    keyframes: list[dict[str, Any]] = []
    threshold = DetectorSettings().prominence
    for _, message in read_topic(bag, 'keyframe/explanation'):
        values = dict(zip(message.name, (float(v) for v in message.position), strict=True))
        stamp_ns = header_stamp_ns(message)
        threshold = values.get('threshold', threshold)
        if not values.get('is_keyframe'):
            frames[stamp_ns] = values['score']
            continue
        names = ('score', 'prominence', 'threshold', 'commit_delay_s')
        keyframes.append({'stamp_ns': stamp_ns, **{n: values.get(n, 0.0) for n in names}})
    if not frames:
        raise BagError(f'bag {bag}: keyframe/explanation is empty, there is nothing to report')
    stamps = np.array(sorted(frames), np.int64)
    scores = np.array([frames[int(s)] for s in stamps])
    keyframes.sort(key=lambda k: int(k['stamp_ns']))
    for number, keyframe in enumerate(keyframes):
        keyframe['number'] = number + 1
        keyframe['time_s'] = round((keyframe['stamp_ns'] - int(stamps[0])) * 1e-9, 4)
    return stamps, scores, keyframes, threshold


def _add_facts(
    keyframes: list[dict[str, Any]], facts: Mapping[str, Any], scores: NDArray[np.float64]
) -> None:
    """Add what explains each keyframe."""
    known = {round(k['stamp_s'] * 1e9): k for k in facts.get('keyframes', [])}
    good = scores[~np.isnan(scores)]
    for keyframe in keyframes:
        stamp_ns = keyframe.pop('stamp_ns')
        near = min(known, key=lambda s: abs(s - stamp_ns), default=None)
        fact = known[near] if near is not None and abs(near - stamp_ns) < 1_000_000 else {}
        keyframe['changes'] = list(fact.get('changes', {}).items())
        keyframe['shares'] = fact.get('shares') or None
        keyframe['frame'] = fact.get('frame')
        keyframe['rank'] = round(100 * float(np.mean(good < keyframe['score'])))
        keyframe['_stamp_ns'] = stamp_ns


def _add_pictures(
    bag: Path,
    held: Mapping[str, tuple[str, int]],
    crops: Path | None,
    keyframes: list[dict[str, Any]],
    start_ns: int,
) -> None:
    """Add pictures with landmarks where crops are at hand."""
    del start_ns
    landmarks = {}
    if '/face/landmarks' in held:
        for _, message in read_topic(bag, 'face/landmarks'):
            rows = np.array([(p.x, p.y, p.z) for p in message.polygon.points], np.float32)
            rows = rows.reshape(-1, 3)
            stamp_ns = header_stamp_ns(message)
            landmarks[stamp_ns] = Landmarks(stamp_ns, rows[:, :2], rows[:, 2])
    places = {}
    if '/keyframe/camera_info' in held:
        for _, message in read_topic(bag, 'keyframe/camera_info'):
            places[header_stamp_ns(message)] = message.roi
    images: dict[int, Image] = {}
    if held.get('/keyframe/image', ('', 0))[1]:
        for _, message in read_topic(bag, 'keyframe/image'):
            images[header_stamp_ns(message)] = _bgr(message)
    for keyframe in keyframes:
        stamp_ns = keyframe.pop('_stamp_ns')
        picture = images.get(stamp_ns)
        if picture is None and crops is not None and keyframe['frame'] is not None:
            picture = cv2.imread(str(crops / f'{keyframe["frame"]:06d}.jpg'))
        roi = places.get(stamp_ns)
        if picture is None or roi is None:
            keyframe['picture'] = None
            continue
        face = FaceImage(stamp_ns, picture, roi.x_offset, roi.y_offset, roi.width, roi.height)
        keyframe['picture'] = _data_uri(face_thumbnail(face, landmarks.get(stamp_ns), _PICTURE_PX))


def _bgr(message: Any) -> Image:
    return image_to_bgr(
        message.data, message.encoding, message.height, message.width, message.step
    )


def _data_uri(bgr: Image) -> str:
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return 'data:image/jpeg;base64,' + base64.b64encode(data.tobytes()).decode('ascii')


def _truth(facts: Mapping[str, Any], labels: Path | None) -> list[float] | None:
    """Return the times of the labels' keyframes, None without labels."""
    if labels is None:
        beside = Path(str(facts.get('source', ''))).with_suffix('.npz') if facts else None
        if beside is None or not beside.is_file():
            return None
        try:
            loaded = load_labels(beside)
        except SourceError:  # something else of that name
            return None
    else:
        loaded = load_labels(labels)
    return [round(int(k) / loaded.fps, 4) for k in label_target(loaded).keyframes]


def _channel_groups(
    bag: Path,
    held: Mapping[str, tuple[str, int]],
    channels_of: ChannelsOf | None,
    joint_names: tuple[str, ...],
    start_ns: int,
) -> list[dict[str, Any]]:
    if not held.get('/face/expression', ('', 0))[1]:
        return []
    stamps, names, values = read_joints(bag, 'face/expression')
    person_s = _rounded((stamps - start_ns) * 1e-9, 3)
    robot: NDArray[np.float64] | None = None
    robot_s: list[float] = []
    if channels_of is not None and held.get('/joint_states', ('', 0))[1]:
        joint_stamps, found, positions = read_joints(bag, 'joint_states')
        if set(found) == set(joint_names):
            order = [found.index(name) for name in joint_names]
            thin = _thinning(len(positions))
            rows = positions[::thin][:, order]
            robot = np.stack([channels_of(row) for row in rows]).astype(np.float64)
            robot_s = _rounded((joint_stamps[::thin] - start_ns) * 1e-9, 3)
    groups = []
    for title, members in _CHANNEL_GROUPS:
        lines = []
        for name in members:
            if name not in names:
                continue
            line: dict[str, Any] = {'name': name.replace('_', ' ')}
            person = _rounded(values[:, names.index(name)], 4)
            if robot is None:
                line |= {'time_s': person_s, 'value': person}
            else:
                line |= {
                    'time_s': robot_s,
                    'value': _rounded(robot[:, CHANNELS.index(name)], 4),
                    'other': person,
                    'other_time_s': person_s,
                    'other_name': 'person at keyframes',
                    'other_mode': 'markers',
                }
            lines.append(line)
        if lines:
            groups.append({'title': title, 'lines': lines})
    return groups


def _joint_curves(
    bag: Path, held: Mapping[str, tuple[str, int]], start_ns: int
) -> list[dict[str, Any]]:
    if not held.get('/joint_states', ('', 0))[1]:
        return []
    stamps, names, present = read_joints(bag, 'joint_states')
    commanded: NDArray[np.float64] | None = None
    command_s: list[float] = []
    thin = _thinning(len(stamps))
    if held.get('/servo/joint_commands', ('', 0))[1]:
        command_stamps, command_names, commands = read_joints(bag, 'servo/joint_commands')
        if command_names == names:
            commanded = commands[::thin]
            command_s = _rounded((command_stamps[::thin] - start_ns) * 1e-9, 3)
    time_s = _rounded((stamps[::thin] - start_ns) * 1e-9, 3)
    groups = []
    for title, indices in joint_groups(names):
        lines = []
        for index in indices:
            line: dict[str, Any] = {
                'name': names[index].removeprefix(title).strip('_') or 'present',
                'time_s': time_s,
                'value': _rounded(present[::thin, index], 4),
            }
            if commanded is not None:
                line |= {
                    'other': _rounded(commanded[:, index], 4),
                    'other_time_s': command_s,
                    'other_name': 'commanded',
                }
            lines.append(line)
        groups.append({'title': title.replace('_', ' '), 'lines': lines})
    return groups


def _faults(bag: Path, held: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    """Count the sentences of all diagnostics above OK."""
    found: dict[str, int] = {}
    if held.get('/diagnostics', ('', 0))[1]:
        for _, message in read_topic(bag, '/diagnostics'):
            for status in message.status:
                if int(status.level):
                    sentence = f'{status.name}: {status.message}'
                    found[sentence] = found.get(sentence, 0) + 1
    return found


def _rate(time_s: NDArray[np.floating[Any]]) -> float:
    return 1.0 / float(np.median(np.diff(time_s))) if len(time_s) > 1 else 30.0


def _thinning(count: int) -> int:
    return max(1, math.ceil(count / _MOST_POINTS))


def _rounded(values: NDArray[np.floating[Any]], digits: int) -> list[float]:
    rounded: list[float] = np.round(values, digits).tolist()
    return rounded
