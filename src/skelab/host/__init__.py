"""What this machine is: processor, memory, GPUs, limits; worker subprocesses."""
