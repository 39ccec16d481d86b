"""`python -m skelab` is `skelab`; `torchrun` and `accelerate launch` take it as a module."""

from skelab.cli.main import main

if __name__ == "__main__":
    main()
