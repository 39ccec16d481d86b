"""Where the jobs of a study run: on this machine, or on a cluster."""
