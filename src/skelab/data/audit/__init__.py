"""Checks on clips: anatomy, mixed-up axes, duplicates across the parts, official counts."""
