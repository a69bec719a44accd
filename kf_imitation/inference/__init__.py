"""Run ONNX models; cut the crop that they see.

Start with onnx_model.py.
"""
