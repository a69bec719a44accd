"""PyTorch training, synthetic faces and export; never imported by the runtime."""

import sys

import kf_imitation  # noqa: F401  switches telemetry off before onnxruntime is loaded
from kf_imitation.errors import end_without_a_package

sys.excepthook = end_without_a_package
