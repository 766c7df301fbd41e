"""How a start under supervision can fail."""

from common.errors import FleetlineError


class StartFailed(FleetlineError):
    """A child ended, or did not become ready in time, while the stack was starting."""

    def __init__(self, child: str, detail: str) -> None:
        super().__init__(f"{child} {detail}")
        self.child = child


class Stopped(FleetlineError):
    """A stop signal, or a child that halts all, came while the stack was starting."""
