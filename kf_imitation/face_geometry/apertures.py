"""How far lids are shut and a mouth is open at each value of the channel.

Blendshapes are no lengths: people's eyes are shut at an eye_close of 0.75, and half shut at 0.4.
models/apertures.yaml has it as points, measured on people.
"""

from collections.abc import Mapping

import numpy as np

from kf_imitation.model_files import load_table

Points = tuple[tuple[float, float], ...]


def _points(channel: str) -> Points:
    return tuple((float(value), float(share)) for value, share in load_table('apertures')[channel])


# By channel: points (value, share of the whole way), both rising from (0, 0) to (1, 1).
APERTURES: Mapping[str, Points] = {
    'jaw_open': _points('jaw_open'),
    'eye_close_left': _points('eye_close'),
    'eye_close_right': _points('eye_close'),
}


def way_share(channel: str, value: float) -> float:
    """Return which share of its whole way, 0..1, a channel of APERTURES has gone at a value."""
    return float(np.interp(value, *np.transpose(APERTURES[channel])))
