"""Simulated Dynamixels that answer real packets; they know no robot file."""
