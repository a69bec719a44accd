"""Pure motion: planner, safety limiter, brake, guards and waypoints. No bus, no clock."""
