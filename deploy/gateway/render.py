"""The front door's configuration as text: pure, from the template and a few values."""

import string
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = Path(__file__).with_name("nginx.conf.template")
# Room for what a multipart or an odd client adds; ingest says 413 itself at its own limit.
BODY_SLACK_BYTES = 65_536


# `(?!)` never matches: there is no braced form, and what is neither of two is left alone.
_PATTERN = r"@(?:(?P<escaped>@)|(?P<named>[a-z_]+)@|(?P<braced>(?!))|(?P<invalid>(?!)))"


class _Template(string.Template):
    """@name@ is filled in and @@ is an at sign: dollars belong to nginx."""

    delimiter = "@"
    pattern = _PATTERN  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Door:
    """What the configuration depends on. Addresses are host:port."""

    listen: str
    ingest: str
    fanout: str
    body_bytes: int
    answer_s: int
    workers: int
    connections: int
    # Location blocks of pages, if there are any.
    pages: str = ""


def address(host: str, port: int) -> str:
    """host:port as nginx takes it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def render(door: Door) -> str:
    """The whole nginx.conf."""
    return _Template(TEMPLATE.read_text()).substitute(
        listen=door.listen,
        ingest=door.ingest,
        fanout=door.fanout,
        body_bytes=str(door.body_bytes + BODY_SLACK_BYTES),
        answer_s=str(door.answer_s),
        workers=str(door.workers),
        connections=str(door.connections),
        pages=door.pages,
    )
