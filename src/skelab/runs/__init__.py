"""Runs one recipe: from clips to training, scores and report."""
