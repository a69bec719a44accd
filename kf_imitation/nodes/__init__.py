"""ROS 2 nodes: parameters, messages, timers; no algorithm."""
