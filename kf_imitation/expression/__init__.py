"""What the face does: channels from landmarks.

Start with keyframe_estimator.py and channels.py.
"""
