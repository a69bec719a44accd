"""Which nodes run with which parameters; discovery and environment. No rclpy."""
