"""Pictures for people: overlays, the drawn robot face, its page, videos."""
