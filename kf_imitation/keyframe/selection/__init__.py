"""Which frame is imitated: smoothing and the online detectors."""
