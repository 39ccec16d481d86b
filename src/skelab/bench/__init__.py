"""The cases of `skelab bench`: networks, engines and precisions, measured in turn."""
