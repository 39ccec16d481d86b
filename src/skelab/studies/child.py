"""Run one skelab command that ends with its parent process: PARENT COMMAND WORDS."""

import os
import runpy
import signal
import sys

from skelab.host.worker_process import die_with_parent

if __name__ == "__main__":
    parent, *words = sys.argv[1:]
    die_with_parent()
    # A study in the background of a shell hands down that Ctrl-C is ignored; it stops us by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.getppid() != int(parent):  # it had ended before the kernel was told
        sys.exit(1)
    sys.argv = ["skelab", *words]
    runpy.run_module("skelab", run_name="__main__", alter_sys=True)
