"""Pictures for people: annotated frames, the drawn robot face, its page, videos.

Start with avatar.py and live_overlay.py.
"""
