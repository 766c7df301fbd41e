"""One way to log: a line per event, with a stable `action` and its facts as fields.

JSON when the output is a file or a pipe, coloured text on a terminal. Values are rendered by
the formatter, so an id with control characters cannot forge a line.
"""

import sys
import time

import structlog

Log = structlog.typing.FilteringBoundLogger


def configure(role: str, level: str) -> None:
    """Set up logging of this process. `level` is debug, info, warning or error."""
    tty = sys.stderr.isatty()
    structlog.contextvars.bind_contextvars(role=role)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=True)
            if tty
            else structlog.processors.JSONRenderer(),
        ],
        # A line in one write: processes that share a log do not speak into each other's lines.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def get(name: str) -> Log:
    """A logger; `name` is the part of the house that speaks."""
    log: Log = structlog.get_logger(part=name)
    return log


class Repeated:
    """Says a repeating failure once, then counts it and says the count at most every `every_s`.

    A server that is down for an hour costs a handful of lines, not one per attempt.
    """

    def __init__(self, log: Log, action: str, *, every_s: float = 30.0) -> None:
        self._log = log
        self._action = action
        self._every_s = every_s
        self._count = 0
        self._said_at = 0.0

    def failed(self, **facts: object) -> None:
        """Note a failure; speak if it is the first, or if enough time has gone by."""
        self._count += 1
        now = time.monotonic()
        if self._count == 1 or now - self._said_at >= self._every_s:
            self._said_at = now
            self._log.warning(self._action, times=self._count, **facts)

    def healed(self, **facts: object) -> None:
        """Note that it works again; speaks only if it had failed."""
        if self._count:
            self._log.info(f"{self._action}.healed", failures=self._count, **facts)
            self._count = 0
