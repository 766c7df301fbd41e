"""Every failure that Fleetline names, by what the caller has to do about it.

    FleetlineError
    ├── ConfigError       a setting or the environment is wrong: one clear line, exit, no restart
    ├── InvalidUpdate     the sender's fault: answer 4xx, nothing was written
    ├── Refused           the sender may not, or not so fast: answer 401, 403 or 429
    ├── Overloaded        not now: answer 503 with Retry-After, the sender tries again
    ├── SinkUnavailable   the database cannot take rows: keep the batch, back off, count nothing
    └── PoisonEntry       this one entry can never be stored: dead-letter it, go on with the others

Anything else is a bug: the process crashes and its supervisor starts another.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.problem import Problem

# Exit status of a role whose settings are wrong; supervisors halt on it instead of restarting.
EXIT_CONFIG = 2


class FleetlineError(Exception):
    """Root of the tree above."""


class ConfigError(FleetlineError):
    """A setting, or the environment it describes, is wrong. One line that names it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One field of a body or a query that is at fault, and what it should have been."""

    field: str
    detail: str


class InvalidUpdate(FleetlineError):
    """A body or a value in it breaks the contract.

    `status` is 400 for bytes that are not JSON and 422 for values; `faults` names every field.
    """

    def __init__(self, detail: str, *, status: int = 422, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.faults = faults


class Refused(FleetlineError):
    """The sender is not known (401), may not do that (403), or is too fast (429).

    `retry_after_s` is for the last; `headers` are further ones of the answer. `problem` is its
    kind where the status does not say it.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        retry_after_s: int = 0,
        headers: tuple[tuple[str, str], ...] = (),
        problem: "Problem | None" = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.headers = headers
        self.problem = problem


class Overloaded(FleetlineError):
    """A bounded thing is full or a server does not answer; `retry_after_s` is for the sender."""

    def __init__(self, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


class SinkUnavailable(FleetlineError):
    """The history cannot be written now. Nothing is wrong with the rows."""


class PoisonEntry(FleetlineError):
    """An entry that can never become a row; `reason` is one of the dead letters' fixed list."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def words_of(error: BaseException) -> str:
    """What an error says, on one line, or what it is: a timeout, for one, says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
