"""The stages put together, and how long each takes.

Start with face_pipeline.py.
"""
