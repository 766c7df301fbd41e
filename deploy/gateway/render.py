"""The front door's configuration as text: pure, from the template and a few values."""

import string
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = Path(__file__).with_name("nginx.conf.template")
# Room for what a multipart or an odd client adds; ingest says 413 itself at its own limit.
BODY_SLACK_BYTES = 65_536


# `(?!)` never matches: there is no braced form, and what is neither of two is left alone.
_PATTERN = r"@(?:(?P<escaped>@)|(?P<named>[a-z_]+)@|(?P<braced>(?!))|(?P<invalid>(?!)))"

# Two years, as browsers ask of a host that means it.
HSTS_S = 63_072_000
TLS = f"""
        ssl_certificate tls/cert.pem;
        ssl_certificate_key tls/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:tls:10m;
        ssl_session_timeout 1d;
        ssl_session_tickets off;
        add_header Strict-Transport-Security "max-age={HSTS_S}" always;
"""


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
    # Whether it speaks TLS, with the certificate and key in tls/.
    tls: bool = False
    # Location blocks of pages, if there are any.
    pages: str = ""


def address(host: str, port: int) -> str:
    """host:port as nginx takes it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def render(door: Door) -> str:
    """The whole nginx.conf."""
    return _Template(TEMPLATE.read_text()).substitute(
        listen=f"{door.listen} ssl" if door.tls else door.listen,
        tls=TLS if door.tls else "",
        ingest=door.ingest,
        fanout=door.fanout,
        body_bytes=str(door.body_bytes + BODY_SLACK_BYTES),
        answer_s=str(door.answer_s),
        workers=str(door.workers),
        connections=str(door.connections),
        pages=door.pages,
    )
