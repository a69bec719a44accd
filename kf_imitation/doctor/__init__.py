"""Checks of a machine and a head: what is wrong, and what to do about it.

Start with finding.py.
"""
