"""Run ONNX models; cut the crop that they see."""
