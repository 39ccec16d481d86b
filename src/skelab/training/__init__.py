"""Training: loop, optimisers, schedules, precision, checkpoints, history."""
