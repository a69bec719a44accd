"""Training of the keyframe score: networks, losses, training, export, measuring."""
