"""Loads what workers and the share agent need, once, and forks them."""

import faulthandler
import sys
from collections.abc import Callable

from common.processes.fork_server import serve
from common.processes.process import die_with_parent


def main() -> int:
    """Entry point: `python -m consumers.fork_server`. Until the supervisor is gone."""
    die_with_parent()
    faulthandler.enable()
    # Not before: who starts this asks the kernel for a signal that must not be missed.
    from consumers import worker  # noqa: PLC0415
    from consumers.sharing import agent  # noqa: PLC0415

    programs: dict[str, Callable[[], int]] = {
        module.__name__: module.main for module in (worker, agent)
    }

    def run() -> int:
        return programs[sys.argv[0]]()

    return serve(run)


if __name__ == "__main__":
    sys.exit(main())
