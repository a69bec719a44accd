"""Servo buses: the contract (bus.py) and one folder per make.

Start with bus.py and dynamixel/serial_bus.py.
"""
