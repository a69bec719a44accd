"""Labels of videos by a teacher network, on one machine or with Ray."""
