"""Times and memory on this machine: the core, without torch; networks are in ``inference``."""

from skelab.bench.machine import Machine, count_cores, describe_machine
from skelab.bench.timing import Quartiles, Seconds, clocked, in_turn, quartiles

__all__ = [
    "Machine",
    "Quartiles",
    "Seconds",
    "clocked",
    "count_cores",
    "describe_machine",
    "in_turn",
    "quartiles",
]
