"""Which nodes run with which parameters; discovery and environment. No rclpy.

Start with nodes.py.
"""
