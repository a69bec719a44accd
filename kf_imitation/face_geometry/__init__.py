"""The shape of a face: WFLW points, mean face, alignment, head pose, ARKit names."""
