"""Fit the numbers between landmarks and channels."""
