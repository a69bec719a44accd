"""Bags: open, repair, read, write and play recordings.

Start with reader.py and opening.py.
"""
