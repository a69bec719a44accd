"""Dynamixel servos of the X series: Protocol 2.0, control tables, units, the serial bus."""
