"""How much a face changed between two frames."""
