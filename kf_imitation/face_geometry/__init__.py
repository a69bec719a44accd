"""The shape of a face: WFLW points, mean face, head pose, ARKit names.

Start with point_sets.py and head_pose.py.
"""
