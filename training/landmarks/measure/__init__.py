"""Measure landmarks and channels."""
