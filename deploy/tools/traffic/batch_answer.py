"""What the batch endpoint answered, fix by fix. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# The server takes nothing now; the same body may be good in a moment.
NOT_NOW = frozenset({408, 429, 502, 503, 504})
# Answers about the fixes of a body: judged one by one, or too many or too odd as a whole.
ABOUT_FIXES = frozenset({202, 400, 413, 422})


class RefusedFix(NamedTuple):
    """Why one fix was not taken; `is_early`: for its driver's rate alone, and later it will be."""

    text: str
    is_early: bool


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """Status and JSON object of an answer; the object is empty where there was none."""

    status: int
    document: Mapping[str, object] = field(default_factory=dict)

    def detail(self) -> str:
        """What it says of the whole."""
        return str(self.document.get("detail", ""))

    def accepted(self, count: int) -> int:
        """How many of `count` fixes were taken."""
        if self.status != 202:
            return 0
        accepted = self.document.get("accepted")
        return min(accepted, count) if isinstance(accepted, int) else count

    def refusals(self, count: int) -> dict[int, RefusedFix]:
        """Refused fixes by their place in the body, as far as the answer names them."""
        errors = self.document.get("errors")
        named: dict[int, RefusedFix] = {}
        for error in errors if isinstance(errors, list) else ():
            index = error.get("index") if isinstance(error, dict) else None
            if isinstance(index, int) and 0 <= index < count and index not in named:
                name, detail = error.get("field", ""), error.get("detail", "")
                named[index] = RefusedFix(f"{name}: {detail}", name == "rate")
        if count == 1 and not named and not self.accepted(1):
            named[0] = RefusedFix(self.detail() or f"answered {self.status}", is_early=False)
        return named
