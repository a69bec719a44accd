"""Rendered faces with exact ground truth, for training and tests, never for the runtime."""

import sys

from kf_imitation.errors import end_without_a_package

sys.excepthook = end_without_a_package
