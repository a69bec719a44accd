"""Where the points of the face are, and how the head is turned.

Start with landmark_model.py and patches.py.
"""
