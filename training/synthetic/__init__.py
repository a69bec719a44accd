"""Rendered faces with exact ground truth, for training and tests (never imported by the runtime)."""
