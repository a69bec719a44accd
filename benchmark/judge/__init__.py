"""A judge outside: hears the wire, knows the robot file, shares no code with the motor loop.

It cannot see what never passes the wire: the shaft behind a stripped gear, force of a servo
without current measurement, motion between two reads, and who asked for a movement unless it is
told. Goals are whole ticks (0.0015 rad), so of speed, acceleration and jerk it sees what is left
after half a tick of rounding per goal, over windows of 1 to 10 cycles (motion.py).
"""
