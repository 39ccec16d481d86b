"""Clips and their index, the store that holds them, and the splits that part them."""
