"""Accuracy of the flow: SSIM after warping on clips, error on renders, next to DIS and zero.

`python -m training.keyframe.measure.flow --model models/keyframe_default.onnx`
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from kf_imitation.data_types import FaceRegion, Image
from kf_imitation.inference import crop
from kf_imitation.keyframe.scoring.pair_scorer import pictures, states
from training.keyframe.measure.run import load_clips
from training.keyframe.networks.fastflownet import warp
from training.keyframe.networks.fusion import MOTION_PX, normalise
from training.keyframe.train.losses import ssim

METHODS = ('zero', 'dis', 'model')


class FlowModel:
    """The flow output of an exported model, for single pairs of crops."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options)
        shapes = {i.name: i.shape for i in self._session.get_inputs()}
        self._crop_px, self._shapes = int(shapes['crop'][1]), shapes
        self._zero = {name: np.zeros(shape, np.float32) for name, shape in states(shapes).items()}

    def flow(self, now: Image, before: Image) -> np.ndarray:
        """Return (2, S, S) float32 pixels to where each pixel of `now` was in `before`."""
        names, size = [f'next_{name}' for name in self._zero], now.shape[:2]
        values = self._session.run(names, {**self._enlarged(before), **self._zero})
        state = dict(zip(self._zero, values, strict=True))
        (coarse,) = self._session.run(['flow'], {**self._enlarged(now), **state})
        fine = [cv2.resize(f, size) for f in coarse[0]]
        return np.stack(fine).astype(np.float32) * (size[0] / self._crop_px)

    def _enlarged(self, image: Image) -> dict[str, np.ndarray]:
        """Repeat pixels: a model that measures motion at half size then sees those given."""
        size = (self._crop_px, self._crop_px)
        large = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_NEAREST)
        return pictures(large, self._shapes)


def flows(model: FlowModel, now: Image, before: Image) -> dict[str, np.ndarray]:
    """Return (2, S, S) flows by method."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(np.ascontiguousarray(i), cv2.COLOR_BGR2GRAY) for i in (now, before)]
    classic = dis.calc(grey[0], grey[1], None).transpose(2, 0, 1)
    return {
        'zero': np.zeros_like(classic),
        'dis': classic,
        'model': model.flow(now, before),
    }


def warped_ssim(now: Image, before: Image, flow: np.ndarray) -> float:
    """Return the mean SSIM of the warped previous crop and the current one."""
    a = normalise(torch.from_numpy(np.ascontiguousarray(now[None])))
    b = normalise(torch.from_numpy(np.ascontiguousarray(before[None])))
    return float(ssim(warp(b, torch.from_numpy(flow[None])), a).mean())


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, default=Path('models/keyframe_default.onnx'))
    parser.add_argument('--clips', type=Path, default=Path('../shared/data/clips/dev'))
    parser.add_argument('--cache', type=Path, default=Path('data/clips_dev'))
    parser.add_argument('--renders', type=Path, help='folder of pairs-*.npz the model never saw')
    parser.add_argument('--pairs', type=int, default=15, help='pairs of each clip and gap')
    arguments = parser.parse_args()
    model = FlowModel(arguments.model)
    rng = np.random.default_rng(0)
    clips = load_clips(arguments.clips, arguments.cache)
    for gap in (1, 3):
        rows = []
        for clip in clips:
            for i in rng.integers(gap, len(clip.frames), arguments.pairs):
                x, y, size = (float(v) for v in clip.regions[i])
                region = FaceRegion(x - size / 2, y - size / 2, size)
                now = crop(clip.frames[i], region, MOTION_PX)
                before = crop(clip.frames[i - gap], region, MOTION_PX)
                found = flows(model, now, before)
                rows.append([warped_ssim(now, before, found[m]) for m in METHODS])
        means = dict(zip(METHODS, np.mean(rows, axis=0).round(4).tolist(), strict=True))
        print(f'SSIM after warping, gap {gap}, {len(rows)} pairs: {means}')
    if arguments.renders:
        rows = []
        for shard in sorted(arguments.renders.glob('pairs-*.npz')):
            with np.load(shard) as data:
                for i in range(len(data['image'])):
                    exact = data['flow'][i].astype(np.float32).transpose(2, 0, 1)
                    face = data['flow_valid'][i] == 1
                    found = flows(model, data['image'][i], data['next_image'][i])
                    error = {m: np.linalg.norm(found[m] - exact, axis=0)[face] for m in METHODS}
                    rows.append([error[m].mean() for m in METHODS])
        means = dict(zip(METHODS, np.mean(rows, axis=0).round(3).tolist(), strict=True))
        print(f'end-point error on the person [px], {len(rows)} renders: {means}')


if __name__ == '__main__':
    main()
