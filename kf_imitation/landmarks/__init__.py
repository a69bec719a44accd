"""Where the points of the face are, and how the head is turned."""
