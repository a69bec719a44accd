"""PyTorch training, synthetic faces and export; never imported by the runtime."""
