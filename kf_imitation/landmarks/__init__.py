"""Where the points of the face are.

Start with landmark_model.py and patches.py.
"""
