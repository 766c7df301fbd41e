"""A process whose parent dies leaves; one that a person started stays."""

import os
import subprocess
import sys

from common.processes.process import PARENT_PID_ENV


def run_code(code: str, **env: str) -> str:
    result = subprocess.run(
        (sys.executable, "-c", f"from common.processes.process import *; import os\n{code}"),
        capture_output=True, text=True, env={**os.environ, **env}, check=False,
    )  # fmt: skip
    return result.stdout + result.stderr


def test_a_child_whose_parent_is_gone_already_leaves() -> None:
    assert "ParentGone" in run_code("die_with_parent()", **{PARENT_PID_ENV: "1"})


def test_die_with_parent_may_be_called_twice_and_in_forks() -> None:
    # Granian imports the application, which calls it, in a process that has called it already.
    code = """
die_with_parent(); die_with_parent()
if os.fork() == 0:
    die_with_parent(); die_with_parent()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]))"""
    assert run_code(code, **{PARENT_PID_ENV: str(os.getpid())}) == "0\n"


def test_started_by_hand_it_does_not_die_with_the_shell() -> None:
    # prctl(PR_GET_PDEATHSIG) tells what was asked for.
    code = """
import ctypes
die_with_parent()
asked = ctypes.c_int(-1); ctypes.CDLL(None).prctl(2, ctypes.byref(asked)); print(asked.value)"""
    environment = {k: v for k, v in os.environ.items() if k != PARENT_PID_ENV}
    result = subprocess.run(
        (sys.executable, "-c", f"from common.processes.process import *\n{code}"),
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    assert result.stdout == "0\n"
