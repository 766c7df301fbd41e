"""Loads what a worker needs, once, and forks workers: `python -m consumers.fork_server`."""

import faulthandler
import sys

from common.processes.fork_server import serve
from common.processes.process import die_with_parent


def main() -> int:
    """Until the supervisor is gone."""
    die_with_parent()
    faulthandler.enable()
    # Not before: who starts this asks the kernel for a signal that must not be missed.
    from consumers import worker  # noqa: PLC0415

    return serve(worker.main)


if __name__ == "__main__":
    sys.exit(main())
