"""Measure keyframe models on labelled clips."""
