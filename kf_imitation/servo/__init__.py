"""How the head moves: mapping, motion, safety, bus, simulated servos."""
