"""The cockpit: a page to see, tune and stop a running head, and the server behind it. No ROS.

Start with server.py and actions.py.
"""
