"""Landmark networks as ONNX files."""
