"""Pure motion: planner, safety limiter, brake, guards and waypoints. No bus, no clock.

Start with safety_limiter.py and planner.py.
"""
