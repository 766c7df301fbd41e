"""Who is told what a supervisor's children say, and turns with its loop."""

from typing import Protocol


class Observer(Protocol):
    """Its methods neither wait nor raise. Children are called by their names."""

    def began(self, child: str) -> None:
        """A child was started."""

    def heard(self, child: str, message: bytes) -> None:
        """A child said something beside its beats."""

    def ended(self, child: str) -> None:
        """A child was reaped; all that it said has been handed on."""

    def retired(self, child: str) -> None:
        """A child is no child any more: it was stopped because it is not wanted."""

    def fileno(self) -> int | None:
        """What to wait for beside the children; None: nothing."""

    def turn(self) -> None:
        """Something waits at `fileno`, or some time has gone by."""
