"""ROS 2 nodes: parameters, messages, timers; no algorithm.

Start with keyframe_node.py.
"""
