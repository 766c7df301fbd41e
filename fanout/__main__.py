"""`python -m fanout`: the role alone, against REDIS_URL."""

import sys

from common.errors import EXIT_CONFIG, ConfigError
from common.settings import load_settings
from fanout.serve import run, run_worker
from fanout.workers import WORKER_FLAG


def main() -> int:
    """Run with the environment's settings."""
    try:
        settings = load_settings()
        return run_worker(settings) if WORKER_FLAG in sys.argv[1:] else run(settings)
    except ConfigError as e:
        print(f"fanout: {e}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG


if __name__ == "__main__":
    sys.exit(main())
