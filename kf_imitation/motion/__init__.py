"""Pure motion: planner, safety limiter, waypoints, stall guard, following check. No bus, no clock.

Start with safety_limiter.py and planner.py.
"""
