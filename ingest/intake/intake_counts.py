"""What became of fixes, counted where it is decided."""

from dataclasses import dataclass


@dataclass(slots=True)
class IntakeCounts:
    """Fixes since the process began; the hot path adds 1 and nothing more."""

    accepted: int = 0
    # Wrong in themselves (400, 422); a body that cannot be read counts as one.
    invalid: int = 0
    # Left out by the rate, of those that were looked at.
    too_fast: int = 0
    # Not known to be in the stream: 503.
    overloaded: int = 0
