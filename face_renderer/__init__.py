"""Rendered faces with exact ground truth, for training and tests, never for the runtime."""
