"""`python -m consumers [--only 0,2-3]`: the supervisor alone, without the command line tool."""

import argparse
import sys

from common import log
from common.errors import EXIT_CONFIG, ConfigError
from common.processes import process
from common.settings import load_settings
from consumers import supervisor


def main() -> int:
    """Parse, configure, run."""
    process.die_with_parent()
    parser = argparse.ArgumentParser(prog="consumers", description=supervisor.__doc__)
    parser.add_argument("--only", help="shards to run here, as in 0,2-3 (default: all)")
    arguments = parser.parse_args()
    try:
        settings = load_settings()
        log.configure("consumers", settings.log_level)
        only = supervisor.parse_only(arguments.only, settings.shards) if arguments.only else None
        return supervisor.run(settings, only)
    except ConfigError as e:
        print(f"consumers: {e}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG


if __name__ == "__main__":
    sys.exit(main())
