"""Trained networks: the checkpoint file, and scoring clips with a network."""
