"""Train the keyframe model."""
