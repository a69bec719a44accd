"""A robot head mimics the expressions it sees: keyframes, landmarks, channels, smooth servos."""
