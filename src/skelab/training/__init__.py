"""One loop, optimiser, schedule, precision, checkpoint, history."""
