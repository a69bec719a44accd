"""The 51 ARKit blendshapes: which are mirror images, the channels they make, and the way back.

A face's blendshapes agree with its channels: what is a channel by another name, or a share of one,
follows the channel, with its calibration and its gain; gaze gives the eyeLook blendshapes. The
others are what the models predict, at their true size (models/shape_size.yaml); those that no
model reads off strangers well enough are 0, with confidence 0.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kf_imitation.data_types import BLENDSHAPES, CHANNELS, FloatArray, Shapes
from kf_imitation.model_files import load_table

Values = NDArray[np.float64]
Places = NDArray[np.intp]
_SIZE = load_table('shape_size')
_LEAST = 1e-3  # predictions closer to 0 or 1 say no more
GAZE_RANGE_RAD = 0.5  # gaze at a difference of eyeLook* of 1

_SWAPPED = {'Left': 'Right', 'Right': 'Left'}


def mirrored_name(name: str) -> str:
    """Return the blendshape of the mirrored face: left and right exchanged."""
    return re.sub('Left$|Right$', lambda side: _SWAPPED[side[0]], name)


# Channel -> the blendshapes that make it: itself, the larger or the mean of two, or how they
# turn the eyes. In and out of an eye are towards and away from the nose; to the person's left is
# out for the left eye.
_LARGER = {
    'jaw_open': ('jawOpen', 'jawOpen'),
    'mouth_smile_left': ('mouthSmileLeft', 'mouthSmileLeft'),
    'mouth_smile_right': ('mouthSmileRight', 'mouthSmileRight'),
    'mouth_frown_left': ('mouthFrownLeft', 'mouthFrownLeft'),
    'mouth_frown_right': ('mouthFrownRight', 'mouthFrownRight'),
    'mouth_pucker': ('mouthPucker', 'mouthFunnel'),
    'eye_close_left': ('eyeBlinkLeft', 'eyeBlinkLeft'),
    'eye_close_right': ('eyeBlinkRight', 'eyeBlinkRight'),
    'eye_wide_left': ('eyeWideLeft', 'eyeWideLeft'),
    'eye_wide_right': ('eyeWideRight', 'eyeWideRight'),
    'brow_raise_left': ('browInnerUp', 'browOuterUpLeft'),
    'brow_raise_right': ('browInnerUp', 'browOuterUpRight'),
}
_MEAN = {
    'lip_press': ('mouthPressLeft', 'mouthPressRight'),
    'brow_lower': ('browDownLeft', 'browDownRight'),
}
_GAZE = {
    'gaze_yaw': ('eyeLookOutLeft', 'eyeLookInLeft', 'eyeLookInRight', 'eyeLookOutRight'),
    'gaze_pitch': ('eyeLookUpLeft', 'eyeLookDownLeft', 'eyeLookUpRight', 'eyeLookDownRight'),
}

# Blendshapes that are a channel by another name.
SAME_AS = {a: channel for channel, (a, b) in _LARGER.items() if a == b}
# Those of the eyeballs, which gaze alone makes.
LOOKS = tuple(name for names in _GAZE.values() for name in names)
MAKE_CHANNELS = {name for names in (_LARGER | _MEAN | _GAZE).values() for name in names}


def _places(table: Mapping[str, tuple[str, ...]]) -> tuple[Places, list[Places]]:
    """Return the places of a table's channels and, one array for each term, of its blendshapes."""
    terms = zip(*table.values(), strict=True)
    columns = [np.array([BLENDSHAPES.index(name) for name in names], np.intp) for names in terms]
    return np.array([CHANNELS.index(channel) for channel in table], np.intp), columns


_TABLES = _places(_LARGER), _places(_MEAN), _places(_GAZE)


def channels_of_blendshapes(shapes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the channels that blendshapes make (docs/landmarks.md).

    Args:
        shapes: (..., 51) in the order of BLENDSHAPES, 0..1; NaN where not known.

    Returns:
        (..., 19) in CHANNELS order, 0..1 or rad; NaN for the head's angles, and where a
        blendshape is not known.
    """
    found = np.full((*shapes.shape[:-1], len(CHANNELS)), np.nan)
    (larger, (a, b)), (mean, (left, right)), (gaze, (p, q, r, s)) = _TABLES
    found[..., larger] = np.maximum(shapes[..., a], shapes[..., b])
    found[..., mean] = (shapes[..., left] + shapes[..., right]) / 2
    turned = (shapes[..., p] - shapes[..., q]) + (shapes[..., r] - shapes[..., s])
    found[..., gaze] = GAZE_RANGE_RAD * turned / 2
    return found


def shapes_of_channels(
    channels: NDArray[Any], predicted: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Return the blendshapes of a face whose channels are known.

    Args:
        channels: (19,) in CHANNELS order.
        predicted: (51,) in the order of BLENDSHAPES, 0..1: says how the blendshapes of one channel
            share it, and all that no channel says; None shares alike and leaves the others at 0.

    Returns:
        (51,) 0..1. channels_of_blendshapes gives the channels again, as far as predictions of
        browInnerUp, which both brows share, let it.
    """
    values = dict(zip(CHANNELS, np.nan_to_num(channels).tolist(), strict=True))
    given = np.zeros(len(BLENDSHAPES)) if predicted is None else np.nan_to_num(predicted)
    shapes = dict(zip(BLENDSHAPES, given.tolist(), strict=True))
    factors: dict[str, float] = {}
    for channel, (a, b) in (_LARGER | _MEAN).items():
        # As predicted: browInnerUp belongs to both brows and may have got its share already.
        of_a, of_b = (float(given[BLENDSHAPES.index(name)]) for name in (a, b))
        together = (of_a + of_b) / 2 if channel in _MEAN else max(of_a, of_b)
        if together <= 0.0:
            shapes[a] = shapes[b] = together = 1.0
        for name in (a, b):
            factors[name] = min(values[channel] / together, factors.get(name, np.inf))
    for name, factor in factors.items():
        shapes[name] *= factor
    for channel, (p, q, r, s) in _GAZE.items():
        turned = values[channel] / GAZE_RANGE_RAD
        shapes |= {p: turned, r: turned, q: -turned, s: -turned}
    found = np.array([shapes[name] for name in BLENDSHAPES], np.float64)
    return np.clip(found, 0.0, 1.0)


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
_CURVES = [
    (np.array(_SIZE[base]['raw']), np.array(_SIZE[base]['value'])) if base in _SIZE else ()
    for base in map(base_name, BLENDSHAPES)
]


def bounded_logits(predicted: NDArray[np.floating]) -> Values:
    """Return values 0..1 as logits, clipped where they say no more."""
    return _logits(np.clip(predicted, _LEAST, 1 - _LEAST))


def _logits(fractions: NDArray[np.floating]) -> Values:
    """As scipy.special.logit, which takes a quarter of a second to import."""
    off = 2 * (fractions - 0.5)
    near = np.log1p(off) - np.log1p(-off)  # exact around a half
    odds = (fractions / (1 - fractions)).astype(np.float64)
    far = np.log(odds).astype(fractions.dtype)
    return np.where((fractions < 0.3) | (fractions > 0.65), far, near)


def true_shapes(predicted: NDArray[np.floating]) -> Values:
    """Return what predicted blendshapes (51,) are worth: 0..1, 0 where nothing is read."""
    raw = bounded_logits(predicted)
    values = np.zeros(len(BLENDSHAPES))
    for place in np.flatnonzero(_READ & np.isfinite(raw)).tolist():
        values[place] = np.interp(raw[place], *_CURVES[place])
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
