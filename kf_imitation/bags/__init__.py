"""Bags: open, repair, read, write and play recordings."""
