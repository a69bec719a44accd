"""PFLD and its heads."""
