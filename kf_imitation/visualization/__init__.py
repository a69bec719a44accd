"""Pictures for people: overlays, the drawn robot face, its page, videos.

Start with avatar.py and live_overlay.py.
"""
