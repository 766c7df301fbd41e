"""`python -m fanout`: one of the processes of the role, as `fleetline fanout` starts them."""

import sys

from common.errors import EXIT_CONFIG, ConfigError
from common.settings import load_settings
from fanout.serve import run_worker


def main() -> int:
    """Run with the environment's settings."""
    try:
        return run_worker(load_settings())
    except ConfigError as e:
        print(f"fanout: {e}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG


if __name__ == "__main__":
    sys.exit(main())
