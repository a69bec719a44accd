"""Train PFLD, its heads and the eye network."""
