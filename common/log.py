"""One way to log: a line per event, with a stable `action` and its facts as fields.

JSON when the output is a file or a pipe, coloured text on a terminal, or what LOG_FORMAT says.
Values are rendered by the formatter, so an id with control characters cannot forge a line. What
the levels mean, and the actions, stand in docs/logs.md.
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence

import structlog

Log = structlog.typing.FilteringBoundLogger

# Lines of this process, by level.
lines: Counter[object] = Counter()


def configure(role: str, level: str, style: str = "") -> None:
    """Set up logging of this process. `level` is debug, info, warning or error.

    `style` is json or text; empty: as the output is.
    """
    tty = sys.stderr.isatty()
    text = style == "text" or (tty and style != "json")
    structlog.contextvars.bind_contextvars(role=role)
    last: Sequence[structlog.typing.Processor] = (structlog.processors.JSONRenderer(),)
    if text:
        last = (_escape, structlog.dev.ConsoleRenderer(colors=tty))
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _count,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *last,
        ],
        # A line in one write: processes that share a log do not speak into each other's lines.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _count(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    lines[event["level"]] += 1
    return event


def _escape(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """No value speaks to the terminal: what it would obey, or break a line at, is spelt out."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception" and not value.isprintable():
            event[name] = printable(value)
    return event


def printable(text: str) -> str:
    r"""`text` with control and format characters escaped, as in \x1b or \u202e."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def get(name: str) -> Log:
    """A logger; `name` is the part of the house that speaks."""
    log: Log = structlog.get_logger(part=name)
    return log


def bind(**facts: object) -> None:
    """Have each line that this task logs from now on say these, too."""
    structlog.contextvars.bind_contextvars(**facts)


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
