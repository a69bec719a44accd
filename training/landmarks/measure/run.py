"""Measure the deployed landmark model and the channels: benchmark.md, sections 3 and 4.

    .venv/bin/python -m training.landmarks.measure --split dev [--every 2] [--json out.json]
    .venv/bin/python -m training.landmarks.measure --split train --save data/points_train.npz

Landmarks are found in the canonical region of the labels, disturbed as a tracker would (`--jitter`
fractions of its size). `--points labels` measures the channels on the labels' own points: the most
that better landmarks could buy.
"""

import argparse
import csv
import hashlib
import pickle
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from kf_imitation.cli.terminal import write_json
from kf_imitation.data_types import CHANNELS, CameraModel, FaceRegion, Image, Landmarks
from kf_imitation.evaluation.channel_labels import label_channels, label_shapes
from kf_imitation.expression.calibration import AutoCalibration, Calibration
from kf_imitation.expression.channels import IS_ANGLE, channel_confidence, raw_channels
from kf_imitation.face_geometry import wflw
from kf_imitation.face_geometry.head_pose import solve_head_pose
from kf_imitation.landmarks.landmark_model import FacePrediction, LandmarkModel
from kf_imitation.paths import share_path
from kf_imitation.pipeline.face_pipeline import build_landmark_model
from training.landmarks.train.data import REGION_MARGIN, mesh_to_wflw

Array = NDArray[Any]
CALIBRATION_S = 2.0
CLOSED = 0.6  # eye_close of a closed eye, in the labels
CLOSED_OVER = (0.5, 0.55, 0.6)  # in what was seen
MOVES = 0.05  # channels whose label has a smaller standard deviation are left out (section 3)
MOVES_RAD = 0.03  # the same for angles: 1.7 degrees


def canonical(mesh: Array, rng: np.random.Generator, jitter: float) -> FaceRegion:
    """The region of a labelled face, off by up to `jitter` of its size."""
    low, high = mesh.min(0), mesh.max(0)
    size = REGION_MARGIN * float((high - low).max())
    centre = (low + high) / 2 + rng.uniform(-jitter, jitter, 2) * size
    size *= float(np.exp(rng.uniform(-1.5 * jitter, 1.5 * jitter)))
    return FaceRegion(float(centre[0] - size / 2), float(centre[1] - size / 2), size)


def nme(points: Array, truth: Array) -> Array:
    """(n,) mean distance over the eye distance [%]."""
    return 100 * np.linalg.norm(points - truth, axis=-1).mean(-1) / wflw.inter_ocular(truth)


class Clip:
    """One clip: labels, and what the model found."""

    def __init__(self, clips: Path, split: str, row: dict[str, str], every: int) -> None:
        self.stem = row['stem']
        labels = np.load(clips / split / f'{self.stem}.npz')
        self.video = clips / split / f'{self.stem}.mp4'
        self.fps = float(labels['fps'])
        self.index = np.flatnonzero(labels['valid'])[::every]
        self.mesh = labels['landmarks_q'][self.index, :, :2].astype(np.float32) / 16
        self.truth = mesh_to_wflw(self.mesh)
        width, height = int(row['width']), int(row['height'])
        self.camera = CameraModel(width, height, max(width, height) / 2 / np.tan(np.radians(30)))
        self.channels = label_channels(
            labels['blendshapes'], labels['names'], labels['head_pose']
        )[self.index]
        self.shapes = label_shapes(labels['blendshapes'], labels['names'])[self.index]
        self.found = [Landmarks(0, p, np.ones(98, np.float32)) for p in self.truth]
        self.predictions: list[FacePrediction] = []

    def frames(self) -> list[Image]:
        """The frames of the index."""
        capture = cv2.VideoCapture(str(self.video))
        wanted = set(self.index.tolist())
        frames = []
        for i in range(int(self.index[-1]) + 1):
            _, bgr = capture.read()
            if i in wanted:
                frames.append(bgr)
        return frames

    def predict(self, model: LandmarkModel, jitter: float, cache: Path | None = None) -> float:
        """Find the points of every frame; returns CPU seconds per face.

        Args:
            model: to measure.
            jitter: of the regions, in fractions of their size.
            cache: of cache_folder; what it holds is not found again and took no time.
        """
        file = None if cache is None else cache / f'{self.stem}.pickle'
        spent = 0.0
        if file is not None and file.exists():
            self.predictions = pickle.loads(file.read_bytes())
        else:
            rng = np.random.default_rng(0)
            self.predictions = []
            for bgr, mesh in zip(self.frames(), self.mesh, strict=True):
                region = canonical(mesh, rng, jitter)
                begun = time.process_time()
                self.predictions.append(model.infer(bgr, region))
                spent += time.process_time() - begun
            if file is not None:
                file.write_bytes(pickle.dumps(self.predictions))
        self.found = [one.landmarks(0) for one in self.predictions]
        return spent / max(1, len(self.found))

    def read(self) -> tuple[Array, Array]:
        """Calibrated channels (n, 19) and their confidence (n, 19)."""
        raw, sure = [], []
        for found in self.found:
            pose = solve_head_pose(found, self.camera)
            raw.append(raw_channels(found, pose))
            sure.append(channel_confidence(found))
        return self.calibrated(np.array(raw)), np.array(sure)

    def calibrated(self, raw: Array) -> Array:
        """Channels (n, 19) of raw channels (n, 19), by those of the first seconds."""
        first = max(1, int(np.searchsorted(self.index, CALIBRATION_S * self.fps)))
        auto = AutoCalibration()
        calibration = Calibration.default()
        for values in raw[:first]:
            calibration = auto.push(values, np.ones(len(CHANNELS), bool))
        return calibration.apply(raw)


def open_clips(
    folder: Path, split: str, every: int, stems: Sequence[str] | None = None
) -> list[Clip]:
    """The clips of a split, or those of them with these stems."""
    with (folder / 'clips.csv').open(encoding='utf-8') as file:
        rows = [row for row in csv.DictReader(file) if row['split'] == split]
    return [Clip(folder, split, r, every) for r in rows if stems is None or r['stem'] in stems]


def cache_folder(
    parent: Path, models: Sequence[str], manifest: Path | None, every: int, jitter: float
) -> Path:
    """Where Clip.predict may keep what these models see: another place for other models.

    A change of the code that feeds them goes unnoticed: delete the folder then.
    """
    path = manifest or share_path('models/manifest.yaml')
    known = yaml.safe_load(path.read_text(encoding='utf-8'))['models']
    fed = [(known[m]['sha256'], known[m]['preprocessing']) for m in models if m]
    text = repr((fed, every, jitter))
    folder = parent / hashlib.sha256(text.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def correlation(a: Array, b: Array) -> float:
    """Pearson; 0 where one of them does not move."""
    if a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def moves(truth: Array, channel: int) -> bool:
    """Whether the labels (n,) of a channel, by its place in CHANNELS, move enough to count."""
    return bool(truth.std() > (MOVES_RAD if IS_ANGLE[channel] else MOVES))


def closed_eyes(truth: Array, seen: Array, over: float) -> dict[str, float]:
    """Recall and precision of closed eyes (label over CLOSED) as a decision.

    Args:
        truth: (n,) labels of eye_close.
        seen: (n,) the channel.
        over: where it counts as closed.
    """
    shut, said = truth > CLOSED, seen > over
    hits = float((shut & said).sum())
    return {'recall': hits / max(1, int(shut.sum())), 'precision': hits / max(1, int(said.sum()))}


def channel_table(clips: list[Clip]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Correlation per channel over the clips where it moves, and closed eyes as decisions."""
    series: dict[str, list[float]] = {name: [] for name in CHANNELS}
    errors: dict[str, list[float]] = {name: [] for name in CHANNELS}
    closed_truth, closed_seen = [], []
    for clip in clips:
        values, _ = clip.read()
        for k, name in enumerate(CHANNELS):
            errors[name].append(float(np.abs(values[:, k] - clip.channels[:, k]).mean()))
            if moves(clip.channels[:, k], k):
                series[name].append(correlation(values[:, k], clip.channels[:, k]))
            if name.startswith('eye_close'):
                closed_truth.append(clip.channels[:, k])
                closed_seen.append(values[:, k])
    truth, seen = np.concatenate(closed_truth), np.concatenate(closed_seen)
    closed: dict[str, Any] = {'frames': int((truth > CLOSED).sum())}
    closed |= {f'over {over:g}': closed_eyes(truth, seen, over) for over in CLOSED_OVER}
    table = {
        name: {
            'mean': float(np.mean(series[name])) if series[name] else None,
            'least': float(np.min(series[name])) if series[name] else None,
            'clips': len(series[name]),
            'error': float(np.mean(errors[name])),
        }
        for name in CHANNELS
    }
    return table, closed


def measure_images(
    faces: Path, split: str, model: LandmarkModel, jitter: float
) -> dict[str, float]:
    """NME on the face images: 98 points against the mesh, inner 51 against the source's 68."""
    labels = np.load(faces / f'{split}.npz')
    rng = np.random.default_rng(0)
    mesh = labels['landmarks_q'][..., :2].astype(np.float32) / 16
    found = []
    for name, face in zip(labels['name'], mesh, strict=True):
        bgr = cv2.imread(str(faces / split / str(name)))
        found.append(model.predict(bgr, canonical(face, rng, jitter), 0).points_px)
    points = np.array(found)
    truth = mesh_to_wflw(mesh)
    full = nme(points, truth)
    to_68 = wflw.weight_matrix(wflw.IBUG68, 98)
    inner = list(wflw.IBUG68_INNER)
    source = labels['points68_q'].astype(np.float32) / 16
    span = np.linalg.norm(source[:, 36] - source[:, 45], axis=-1)

    def inner_error(a: Array, b: Array) -> float:
        distance = np.linalg.norm(a[:, inner] - b[:, inner], axis=-1).mean(-1)
        return float(100 * (distance / span).mean())

    points68 = np.einsum('kw,nwc->nkc', to_68, points)
    truth68 = np.einsum('kw,nwc->nkc', to_68, truth)
    return {
        'nme98': float(full.mean()),
        'failures': float(100 * (full > 10).mean()),
        'inner51_mesh': inner_error(points68, truth68),
        'inner51_source': inner_error(points68, source),
        'inner51_labels_themselves': inner_error(truth68, source),
        'images': len(full),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shared', type=Path, default=Path('../shared/data'))
    parser.add_argument('--split', choices=('dev', 'train'), default='dev')
    parser.add_argument('--model', default='landmarks_pfld')
    parser.add_argument('--manifest', type=Path)
    parser.add_argument('--clips', nargs='+', help='stems; all of the split without')
    parser.add_argument('--every', type=int, default=1, help='take every n-th frame')
    parser.add_argument('--jitter', type=float, default=0.04)
    parser.add_argument('--eyes', default='landmarks_eyes', help='empty does without')
    parser.add_argument('--parts', default='landmarks_parts', help='empty does without')
    parser.add_argument('--points', choices=('model', 'labels'), default='model')
    parser.add_argument('--images', action='store_true', help='also the face images')
    parser.add_argument('--json', type=Path)
    parser.add_argument(
        '--cache', type=Path, help='keep what the models predict, e.g. data/predictions'
    )
    parser.add_argument('--save', type=Path, help='predicted points by stem')
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    folder = arguments.shared / 'clips'
    clips = open_clips(folder, arguments.split, arguments.every, arguments.clips)
    report: dict[str, Any] = {'split': arguments.split, 'points': arguments.points}
    if arguments.points == 'model':
        named = {'model': arguments.model, 'eyes': arguments.eyes, 'parts': arguments.parts}
        model = build_landmark_model({**named, 'threads': 1}, arguments.manifest)
        cache = arguments.cache and cache_folder(
            arguments.cache,
            list(named.values()),
            arguments.manifest,
            arguments.every,
            arguments.jitter,
        )
        seconds, per_clip = [], {}
        for clip in clips:
            seconds.append(clip.predict(model, arguments.jitter, cache))
            errors = nme(np.array([f.points_px for f in clip.found]), clip.truth)
            per_clip[clip.stem] = errors
            print(f'{clip.stem:50s} NME {errors.mean():.2f} % worst {errors.max():.1f} %')
        total = np.concatenate(list(per_clip.values()))
        report['nme98'] = float(total.mean())
        report['nme98_mean_of_clips'] = float(np.mean([e.mean() for e in per_clip.values()]))
        report['failures'] = float(100 * (total > 10).mean())
        report['cpu_ms_per_face'] = 1000 * float(np.median(seconds))
        print({k: v for k, v in report.items() if k != 'channels'})
        if arguments.images:
            report['images'] = measure_images(
                arguments.shared / 'faces', arguments.split, model, arguments.jitter
            )
            print(report['images'])
        if arguments.save:
            saved = {}
            for clip in clips:
                points = np.full((int(clip.index[-1]) + 1, 98, 2), np.nan, np.float32)
                points[clip.index] = np.array([f.points_px for f in clip.found])
                saved[clip.stem] = points
            np.savez(arguments.save, **saved)
    report['channels'], report['closed_eyes'] = channel_table(clips)
    for name, row in report['channels'].items():
        if row['clips']:
            print(f'{name:20s} r {row["mean"]:.3f} least {row["least"]:.3f} '
                  f'({row["clips"]} clips), mean error {row["error"]:.3f}')  # fmt: skip
        else:
            print(f'{name:20s} moves in no clip, mean error {row["error"]:.3f}')
    closed = report['closed_eyes']
    print(f'closed eyes (label over {CLOSED:g}): {closed["frames"]}')
    for over in CLOSED_OVER:
        row = closed[f'over {over:g}']
        print(f'    over {over:g}: recall {row["recall"]:.3f}, precision {row["precision"]:.3f}')
    write_json(report, arguments.json)


if __name__ == '__main__':
    main()
