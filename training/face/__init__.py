"""The small network that centres the face region."""
