"""Commands that measure: speed, jitter, faults and what bounded delay costs."""
