"""The report: one HTML page about a replay.

Start with page.py.
"""
