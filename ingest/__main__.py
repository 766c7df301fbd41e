"""`python -m ingest`: the role by itself, configured by the environment."""

import sys

from common.errors import EXIT_CONFIG, ConfigError
from common.settings import load_settings
from ingest.serve import run


def main() -> int:
    """Exit status of the role."""
    try:
        settings = load_settings()
    except ConfigError as e:
        sys.stderr.write(f"ingest: {e}\n")
        return EXIT_CONFIG
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
