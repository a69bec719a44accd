"""Labelled clips and face images turned into training samples."""
