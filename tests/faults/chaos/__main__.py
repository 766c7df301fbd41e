"""`python -m tests.faults.chaos`."""

import sys

from tests.faults.chaos.rounds import main

if __name__ == "__main__":
    sys.exit(main())
