"""Which square of the frame is the face."""
