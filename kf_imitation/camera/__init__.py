"""Where frames come from.

Start with frame_source.py and sources.py.
"""
