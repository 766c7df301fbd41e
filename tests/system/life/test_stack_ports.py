"""Stacks of tests that start at the same time in several processes get ports of their own."""

import subprocess
import sys

from tests.stack import environment

CLAIMS = 5
# The same first guess for both, and neither ends before the other has chosen.
SCRIPT = f"""
import os, sys
os.getpid = lambda: 4_000
from tests.stack import free_base
print(*(free_base() for _ in range({CLAIMS})), flush=True)
sys.stdin.read()
"""


def test_two_processes_never_get_the_same_ports() -> None:
    both = [
        subprocess.Popen(
            (sys.executable, "-c", SCRIPT),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(),
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        claimed: list[str] = []
        for process in both:
            assert process.stdout is not None
            claimed += process.stdout.readline().split()
        assert len(set(claimed)) == 2 * CLAIMS
    finally:
        for process in both:
            process.communicate()
