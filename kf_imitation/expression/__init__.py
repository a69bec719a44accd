"""What the face does: channels from landmarks."""
