"""A robot head mimics the expressions it sees: keyframes, landmarks, channels, smooth servos."""

import os

# onnxruntime would write down what it does and send it to its makers. It reads this when it is
# loaded, and every process imports this file before.
os.environ['ORT_DISABLE_TELEMETRY'] = '1'
