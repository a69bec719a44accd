"""PyTorch training, synthetic faces and export; never imported by the runtime."""

import kf_imitation  # noqa: F401  switches telemetry off before onnxruntime is loaded
