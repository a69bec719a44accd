"""What the report shows, read back from a bag or from the folder of a replay."""

import base64
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kf_imitation.bags.opening import OpenBag, open_bag
from kf_imitation.bags.reader import header_stamp_ns, messages_of
from kf_imitation.camera.encodings import image_to_bgr
from kf_imitation.data_types import FaceImage, FrameScore, Image, Landmarks
from kf_imitation.errors import BagError, SourceError
from kf_imitation.evaluation.labels import NO_POINTS, Labels, load_labels
from kf_imitation.evaluation.metrics import label_target
from kf_imitation.parameters.definition import parameters_of, renamed
from kf_imitation.parameters.settings import DetectorSettings
from kf_imitation.replay.score_trace import CHANGES, Provisional, provisional, read_changes
from kf_imitation.reporting.curves import channel_groups, joint_curves, joint_sizes, rounded
from kf_imitation.reporting.health import Fault, read_health, unscored
from kf_imitation.reporting.moments import moments
from kf_imitation.reporting.playback import Reached, playback
from kf_imitation.reporting.recording import Recording
from kf_imitation.reporting.sizes import run_sizes
from kf_imitation.robot import RobotConfig
from kf_imitation.visualization.drawing import face_thumbnail

# How far the reading is then, by processor time.
_PICTURES_DONE, _CHANNELS_DONE = 0.2, 0.65
_PICTURE_PX = 224
_SCORE_DIGITS = 7
_CHANGE_DIGITS = 4  # of vectors: there are many
_logger = logging.getLogger('kf_imitation')
# Of keyframe/explanation; bags of older versions lack them.
_WHY = ('flow_share', 'appearance_share', 'still_share', 'head_share', 'score_without_head')


@dataclass(slots=True)
class ReportData:
    """One run, ready for the page; times are seconds since its first frame.

    Attributes:
        name: of the source.
        page: what the script of the page draws, JSON-ready.
        times_ms: percentiles by stage.
        faults: of the diagnostics.
        sizes: gain, ccc, rest and apex by joint and channel; empty without labels.
        joint_sizes: rows of curves.joint_sizes.
        parameters: of a replay, by node.name, that are not as defined; None: not known.
    """

    name: str
    page: dict[str, Any]
    times_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()
    sizes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    joint_sizes: Sequence[Sequence[str]] = ()
    parameters: Mapping[str, object] | None = None


def read_run(
    path: Path,
    robot: RobotConfig,
    labels: Path | None,
    images: bool = True,
    played: bool = True,
    reached: Reached = lambda share: None,
) -> ReportData:
    """Read a run.

    Args:
        path: bag, or folder of a replay.
        robot: of the run; a bag with other joints gets no channels of the robot.
        labels: .npz next to the clip, or None to look next to the source of a replay.
        images: show the person.
        played: with what the player of person and robot needs.
        reached: told how much of the work is done, 0 to 1.

    Raises:
        BagError: it cannot be read or holds no scores.
        SourceError: the labels, or changes.npz of the replay, are faulty.
    """
    is_replay = (path / 'run.json').is_file()
    facts: dict[str, Any] = {}
    if is_replay:
        facts = json.loads((path / 'run.json').read_text(encoding='utf-8'))
    with open_bag(path / 'bag' if is_replay else path) as bag:
        stamps, scores, keyframes = _read_explanations(bag)
        recording = Recording(bag, robot, int(stamps[0]))
        health = read_health(recording)
        run, faults = final_run(stamps, scores), health.faults
        if (path / CHANGES).is_file():
            raw, smoothing = read_changes(path / CHANGES)
            run, faults = what_if_run(raw, provisional(raw, smoothing)), unscored(raw)
        settings = asdict(guessed_settings(keyframes))
        if 'detector' in facts:  # a replay of the last release has names of then
            settings = renamed(parameters_of(DetectorSettings), facts['detector'])[0]
        _add_facts(keyframes, facts, scores)
        if images:
            _add_pictures(recording, path / 'keyframes' if is_replay else None, keyframes)
        for keyframe in keyframes:
            del keyframe['_stamp_ns']
        reached(_PICTURES_DONE)
        truth = _truth(facts, labels)
        channels = channel_groups(recording)
        reached(_CHANNELS_DONE)
        source = str(facts.get('source', ''))

        def player_reached(share: float) -> None:
            reached(_CHANNELS_DONE + (1 - _CHANNELS_DONE) * share)

        return ReportData(
            name=Path(str(facts.get('source', path))).name,
            page={
                'fps': float(facts.get('fps') or _rate(recording.seconds(stamps))),
                'scored_by': ', '.join(facts.get('scored_by', ())),
                'settings': settings,
                'run': run,
                'keyframes': keyframes,
                'truth_s': truth and _keyframes_s(truth),
                'channels': channels,
                'joints': joint_curves(recording),
                'moments': moments(recording),
                'player': playback(recording, source, images, player_reached) if played else None,
            },
            times_ms=facts.get('times_ms') or health.times_ms,
            faults=faults,
            sizes={} if truth is None else run_sizes(recording, stamps, truth),
            joint_sizes=joint_sizes(recording),
            parameters=facts.get('parameters'),
        )


def what_if_run(raw: Sequence[FrameScore], known: Provisional) -> dict[str, Any]:
    """Return the frames for the page's detectors, which then find what the runtime would.

    Args:
        raw: scores before smoothing, of every frame.
        known: what smoothing makes of them.
    """
    start_ns = raw[0].stamp_ns

    def short(score: float | None) -> float | None:
        return None if score is None else round(score, _SCORE_DIGITS)

    return {
        'exact': True,
        'time_s': rounded(np.array([(s.stamp_ns - start_ns) * 1e-9 for s in raw]), 4),
        'stamp_ns': [s.stamp_ns - start_ns for s in raw],
        'dt_ns': [round(s.dt_s * 1e9) for s in raw],
        'ahead': [None if row is None else [short(score) for score in row] for row in known.ahead],
        'at_once': [short(score) for score in known.at_once],
        'change_at_once': [
            None if change is None else rounded(change, _CHANGE_DIGITS)
            for change in known.change_at_once
        ],
    }


def final_run(stamps: NDArray[np.int64], scores: NDArray[np.float64]) -> dict[str, Any]:
    """Return frames of which only the final scores are known, as from a bag.

    Args:
        stamps: (N,) [ns].
        scores: (N,), NaN: none.
    """
    final = [None if math.isnan(s) else round(float(s), _SCORE_DIGITS) for s in scores]
    return {
        'exact': False,
        'time_s': rounded((stamps - stamps[0]) * 1e-9, 4),
        'stamp_ns': (stamps - stamps[0]).tolist(),
        'dt_ns': [0, *np.diff(stamps).tolist()],
        'ahead': [None if score is None else [score] for score in final],
        'at_once': final,
        'change_at_once': [None] * len(final),
    }


def guessed_settings(keyframes: Sequence[Mapping[str, Any]]) -> DetectorSettings:
    """Return what a bag says about the detector's settings; defaults for the rest."""
    defaults = DetectorSettings()
    if not keyframes:
        return defaults
    passed = float(keyframes[-1]['threshold'])
    delay_s = max(float(k['commit_delay_s']) for k in keyframes)
    if any(k['prominence'] > 0 for k in keyframes):
        return DetectorSettings('peak', prominence=passed)
    if delay_s > 0:
        return DetectorSettings('settle', prominence=passed)
    quanta = [float(k['threshold']) for k in keyframes]
    mode = 'travel' if min(quanta) == max(quanta) else 'combined'
    return DetectorSettings(mode, travel_threshold=max(quanta))


def _read_explanations(
    bag: OpenBag,
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[dict[str, Any]]]:
    frames: dict[int, float] = {}
    keyframes: list[dict[str, Any]] = []
    for _, message in messages_of(bag, 'keyframe/explanation'):
        values = dict(zip(message.name, (float(v) for v in message.position), strict=True))
        stamp_ns = header_stamp_ns(message)
        if not values.get('is_keyframe'):
            frames[stamp_ns] = values['score']
            continue
        names = ('score', 'prominence', 'threshold', 'commit_delay_s')
        known = {n: round(values[n], 4) for n in _WHY if math.isfinite(values.get(n, math.nan))}
        passed = {n: values.get(n, 0.0) for n in names}
        keyframes.append({'stamp_ns': stamp_ns, **passed, 'explanation': known})
    if not frames:
        raise BagError(
            f'bag {bag.path}: keyframe/explanation is empty, there is nothing to report'
        )
    stamps = np.array(sorted(frames), np.int64)
    scores = np.array([frames[int(s)] for s in stamps])
    keyframes.sort(key=lambda k: int(k['stamp_ns']))
    for number, keyframe in enumerate(keyframes):
        keyframe['number'] = number + 1
        keyframe['time_s'] = round((keyframe['stamp_ns'] - int(stamps[0])) * 1e-9, 4)
    return stamps, scores, keyframes


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
        keyframe['explanation']['strongest'] = list(fact.get('changes', {}).items())
        keyframe['frame'] = fact.get('frame')
        keyframe['rank'] = math.floor(100 * float(np.mean(good < keyframe['score'])))
        keyframe['_stamp_ns'] = stamp_ns
        keyframe['picture'] = None


def _add_pictures(
    recording: Recording, crops: Path | None, keyframes: list[dict[str, Any]]
) -> None:
    """Add pictures with landmarks where crops are at hand."""
    landmarks = {}
    for message in recording.messages('face/landmarks'):
        rows = np.array([(p.x, p.y, p.z) for p in message.polygon.points], np.float32)
        rows = rows.reshape(-1, 3)
        stamp_ns = header_stamp_ns(message)
        landmarks[stamp_ns] = Landmarks(stamp_ns, rows[:, :2], rows[:, 2])
    places = {
        header_stamp_ns(message): message.roi
        for message in recording.messages('keyframe/camera_info')
    }
    images: dict[int, Image] = {}
    for message in recording.messages('keyframe/image'):
        images[header_stamp_ns(message)] = image_to_bgr(
            message.data, message.encoding, message.height, message.width, message.step
        )
    for keyframe in keyframes:
        stamp_ns = keyframe['_stamp_ns']
        picture = images.get(stamp_ns)
        if picture is None and crops is not None and keyframe['frame'] is not None:
            picture = cv2.imread(str(crops / f'{keyframe["frame"]:06d}.jpg'))
        roi = places.get(stamp_ns)
        if picture is None or roi is None:
            continue
        face = FaceImage(stamp_ns, picture, roi.x_offset, roi.y_offset, roi.width, roi.height)
        keyframe['picture'] = _data_uri(face_thumbnail(face, landmarks.get(stamp_ns), _PICTURE_PX))


def _data_uri(bgr: Image) -> str:
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return 'data:image/jpeg;base64,' + base64.b64encode(data.tobytes()).decode('ascii')


def _truth(facts: Mapping[str, Any], labels: Path | None) -> Labels | None:
    """Return the labels named, or those next to the source of a replay; None without."""
    if labels is not None:
        loaded = load_labels(labels, points=False)
        if not loaded.has_points:
            _logger.warning('%s: mouth aperture is left out: %s', labels, NO_POINTS)
        return loaded
    found = Path(str(facts.get('source', ''))).with_suffix('.npz') if facts else None
    if found is None or not found.is_file():
        return None
    try:
        return load_labels(found, points=False)
    except SourceError:  # something else of that name
        return None


def _keyframes_s(loaded: Labels) -> list[float]:
    """Return the times of the labels' keyframes."""
    return [round(int(k) / loaded.fps, 4) for k in label_target(loaded).keyframes]


def _rate(time_s: NDArray[np.floating[Any]]) -> float:
    return 1.0 / float(np.median(np.diff(time_s))) if len(time_s) > 1 else 30.0
