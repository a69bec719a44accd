"""From checkpoints to ONNX files, and back."""
