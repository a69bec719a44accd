"""Checks of a machine and a head: each says what it found and, when something is wrong, what to do."""
