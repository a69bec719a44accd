"""The face as the 51 ARKit blendshapes, in agreement with its channels.

What is a channel by another name, or a share of one, follows the channel, with its calibration and
its gain; gaze gives the eyeLook blendshapes. The others are what the models predict, at their true
size (models/shape_size.yaml); those that no model reads off strangers well enough are 0, with
confidence 0.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, FloatArray, Shapes
from kf_imitation.face_geometry.arkit import MAKE_CHANNELS, shapes_of_channels
from kf_imitation.model_files import load_table

Values = NDArray[np.float64]
_SIZE = load_table('shape_size')
_LEAST = 1e-3  # predictions closer to 0 or 1 say no more


def base_name(name: str) -> str:
    """Return a blendshape without its side."""
    return name.removesuffix('Left').removesuffix('Right')


def _source(name: str) -> str:
    """Return the channel that is read from the same points."""
    side = 'right' if name.endswith('Right') else 'left'
    part = {'eye': f'eye_close_{side}', 'bro': f'brow_raise_{side}'}
    return part.get(name[:3], 'jaw_open')


# Of each blendshape the channel whose points it shares, and so its confidence.
SOURCE = np.array([CHANNELS.index(_source(name)) for name in BLENDSHAPES])
_GIVEN = np.array([name in MAKE_CHANNELS for name in BLENDSHAPES])
_READ = np.array([base_name(name) in _SIZE for name in BLENDSHAPES])


def shape_logits(predicted: NDArray[np.floating]) -> Values:
    """Return predictions 0..1 as the logits that the maps are for."""
    return np.asarray(logit(np.clip(predicted, _LEAST, 1 - _LEAST)))


def true_shapes(predicted: NDArray[np.floating]) -> Values:
    """Return what predicted blendshapes (51,) are worth: 0..1, 0 where nothing is read."""
    raw = shape_logits(predicted)
    values = np.zeros(len(BLENDSHAPES))
    for place in np.flatnonzero(_READ & np.isfinite(raw)).tolist():
        size = _SIZE[base_name(BLENDSHAPES[place])]
        values[place] = np.interp(raw[place], size['raw'], size['value'])
    return values


def agreed_shapes(channels: Values, predicted: Values | None, confidence: FloatArray) -> Shapes:
    """Return the blendshapes of a face.

    Args:
        channels: (19,) as they are given out.
        predicted: (51,) at true size; None where only channels are known.
        confidence: (19,) of the channels.
    """
    known = _GIVEN if predicted is None else _GIVEN | _READ
    sure = np.where(known, confidence[SOURCE], 0.0).astype(np.float32)
    return Shapes(shapes_of_channels(channels, predicted).astype(np.float32), sure)
