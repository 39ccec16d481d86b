"""Clips to batches: reading, random draws, transforms, streams."""
