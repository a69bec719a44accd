"""The bus thread: one object that owns the servos of a head and moves them.

Start with controller.py.
"""
