"""Servo buses: the contract (bus.py) and one folder per make."""
