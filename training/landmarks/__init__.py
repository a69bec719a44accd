"""PFLD: facial landmarks from one crop; model, losses, data, training, export, measuring."""
