"""Pictures for people: landmarks on the frame, the drawn robot face, the side-by-side video."""
