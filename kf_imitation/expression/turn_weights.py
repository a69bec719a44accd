"""What turning the head moves a channel by, written by training/landmarks/fit/turning.py.

Raw units on the features of channels.turn_features.
"""

WEIGHTS: dict[str, tuple[float, float, float, float]] = {
    'mouth_smile': (-0.046, -3.458, -0.813, 7.426),
    'eye_close': (-0.062, 1.248, -0.462, 1.300),
    'brow_raise': (0.437, -0.407, -3.140, -1.840),
}
