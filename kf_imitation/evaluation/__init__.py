"""How good the head is: labels, metrics, methods, tuning and calibration sessions.

Start with keyframes.py and metrics.py.
"""
