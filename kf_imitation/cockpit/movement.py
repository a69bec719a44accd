"""What moved in a face from one keyframe to the next, in plain words."""

from collections.abc import Mapping, Sequence
from math import degrees

from kf_imitation.data_types import CHANNELS

# Channel, or channels of both sides -> what it is called, one and both; growing; shrinking.
_PARTS = (
    ('jaw_open', 'jaw', 'jaw', 'opened', 'closed'),
    ('mouth_smile', 'corner of the mouth', 'corners of the mouth', 'up', 'back down'),
    ('mouth_frown', 'corner of the mouth', 'corners of the mouth', 'down', 'back up'),
    ('mouth_pucker', 'lips', 'lips', 'puckered', 'relaxed'),
    ('lip_press', 'lips', 'lips', 'pressed', 'parted'),
    ('eye_close', 'eye', 'eyes', 'closed', 'opened'),
    ('eye_wide', 'eye', 'eyes', 'wide open', 'less wide'),
    ('brow_raise', 'brow', 'brows', 'up', 'back down'),
    ('brow_lower', 'brows', 'brows', 'drawn down', 'released'),
)
# Angle -> growing, shrinking; left and right are the person's own.
_ANGLES = {
    'gaze_yaw': ('eyes turned left', 'eyes turned right'),
    'gaze_pitch': ('eyes turned up', 'eyes turned down'),
    'head_yaw': ('head turned left', 'head turned right'),
    'head_pitch': ('head turned down', 'head turned up'),
    'head_roll': ('head tilted right', 'head tilted left'),
}
# Less is not worth a word; a radian counts as much as a whole expression.
LEAST = 0.08
WHOLE_RAD = 1.0
_MOST_PHRASES = 3


def movement(before: Sequence[float | None] | None, after: Sequence[float | None]) -> str:
    """Return what moved most, the strongest first; '' where hardly anything did.

    Args:
        before: (19,) channels of the keyframe before, 0..1 or rad; None for the first.
        after: of this one.
    """
    if before is None:
        return 'the first face'
    by = {
        name: b - a
        for name, a, b in zip(CHANNELS, before, after, strict=True)
        if a is not None and b is not None
    }
    phrases = [*_of_parts(by), *_of_angles(by)]
    strong = sorted((p for p in phrases if p[0] >= LEAST), key=lambda p: -p[0])
    return ', '.join(words for _, words in strong[:_MOST_PHRASES])


def _of_parts(by: Mapping[str, float]) -> list[tuple[float, str]]:
    found = []
    for name, one, both, more, less in _PARTS:
        sides = [(side, by.get(f'{name}_{side}', 0.0)) for side in ('left', 'right')]
        (_, left), (_, right) = sides
        if name in by:
            moved = [(both, by[name])]
        elif min(abs(left), abs(right)) > max(abs(left), abs(right)) / 2 and left * right > 0:
            moved = [(both, (left + right) / 2)]
        else:
            moved = [(f'{side} {one}', value) for side, value in sides]
        for noun, value in moved:
            size = abs(value)
            words = f'{noun} {more if value > 0 else less} by {round(100 * size)} %'
            found.append((size, words))
    return found


def _of_angles(by: Mapping[str, float]) -> list[tuple[float, str]]:
    return [
        (abs(by[name]) / WHOLE_RAD, f'{words[by[name] < 0]} by {round(degrees(abs(by[name])))}°')
        for name, words in _ANGLES.items()
        if name in by
    ]
