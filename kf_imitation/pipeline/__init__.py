"""The stages put together, and how long each takes."""
