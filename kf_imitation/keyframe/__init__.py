"""How much the face changes, and which frames are worth imitating."""
