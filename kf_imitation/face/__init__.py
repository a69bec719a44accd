"""Which square of the frame is the face.

Start with tracker.py.
"""
