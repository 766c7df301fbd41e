"""Loads what the roles of `fleetline up` need, once, and forks them: `python -m deploy.preloaded`.

Ten roles would each import the same for half a second. It has no secrets: each role gets its own.
"""

import contextlib
import faulthandler
import sys
from importlib import import_module

from common.processes.fork_server import serve
from common.processes.process import die_with_parent

# What several roles need, or one that all wait for. Not what starts threads when it is loaded
# (numpy does): they would be missing in what is forked.
MODULES = (
    *("deploy.cli", "common.log", "common.settings", "deploy.preflight"),
    *("consumers.supervisor", "consumers.hooks.serve", "consumers.planner.serve"),
    *("fanout.serve", "ingest.serve"),
)


def main() -> int:
    """Until the supervisor is gone."""
    die_with_parent()
    faulthandler.enable()
    for module in MODULES:
        # A role whose packages are missing says so itself.
        with contextlib.suppress(ImportError):
            import_module(module)
    return serve(_run)


def _run() -> int:
    from deploy.cli import main as fleetline

    fleetline()
    return 0


if __name__ == "__main__":
    sys.exit(main())
