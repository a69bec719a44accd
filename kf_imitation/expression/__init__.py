"""What the face does: channels from landmarks.

Start with estimator.py and channels.py.
"""
