"""How good the head is: labels, metrics, methods, tuning and calibration sessions.

Start with evaluate.py and metrics.py.
"""
