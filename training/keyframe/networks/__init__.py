"""The networks of the keyframe model."""
