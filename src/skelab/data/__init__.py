"""Readers, body selection, clip store, splits, streams, transforms and synthetic clips."""
