"""The front door's configuration as text: pure, from the template and a few values."""

import ipaddress
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.plans.limits import PLAN_BODY_BYTES_MAX
from deploy.gateway.problems import error_pages

TEMPLATE: Final = Path(__file__).with_name("nginx.conf.template")
# Room for what a multipart or an odd client adds; ingest says 413 itself at its own limit.
BODY_SLACK_BYTES: Final = 65_536
# Where phones' queues may come, beside the API's own path; a test compares it with the apps.
APP_PATHS: Final = ("owntracks", "osmand", "overland", "background-geolocation")
# nginx waits for the next piece of a body this much longer than ingest for the whole: ingest says
# 408, nginx only hangs up.
BODY_SLACK_S: Final = 5
# An ingest that hangs is said within this, before the 2 s that a driver was promised; longer than
# ingest itself waits for Redis, whose reason is the better one.
FIX_ANSWER_MS: Final = 1_900
# The same for /health, promised within 1 s.
HEALTH_ANSWER_MS: Final = 950
# The longest plan: ingest gives it up before, and says so.
PLAN_ANSWER_S: Final = 50
# What is behind a name is asked again after this: a container has another address after a restart,
# and name servers of containers say that theirs are good for minutes.
NAME_VALID_S: Final = 5
# An idle connection to ingest is closed from here, sooner than ingest would.
UPSTREAM_IDLE_S: Final = 5
# Headers of a request; ingest takes 100, and the front door adds a few.
HEADERS_MAX: Final = 90
# Requests of one address in work at once. A thousand phones behind a carrier's address are a few
# tens at a time; with slow bodies of 64 KB each it is 32 MB of nginx's memory.
REQUESTS_PER_ADDRESS_MAX: Final = 512
# Headers in which proxies name an address or a host: a client's own are dropped, lest any part
# behind the door believes them. The door's word is X-Real-IP alone.
UNBELIEVED: Final = (
    "Forwarded",
    "X-Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Original-Forwarded-For",
    "Forwarded-For",
    "Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Remote-Addr",
    "X-Remote-IP",
    "X-Originating-IP",
    "X-ProxyUser-IP",
    "X-Envoy-External-Address",
    "X-Azure-ClientIP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CF-Connecting-IPv6",
    "CF-Pseudo-IPv4",
    "Fastly-Client-IP",
    "Fly-Client-IP",
)


# `(?!)` never matches: there is no braced form, and an at sign that is neither stays as it is.
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
    """What the configuration depends on. Addresses are host:port, those behind may be names."""

    listen: str
    ingest: str
    fanout: str
    # Of a body of many fixes, and of any other.
    batch_body_bytes: int
    body_bytes: int
    body_timeout_s: int
    answer_s: int
    workers: int
    connections: int
    # Whether it speaks TLS, with the certificate and key in tls/.
    tls: bool = False
    # Proxies before this one whose X-Forwarded-For is believed: addresses and networks.
    trusted_proxies: tuple[str, ...] = ()
    # Name servers that know the hosts behind it, where these are names.
    resolvers: tuple[str, ...] = ()
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
        ingest=_upstream("ingest", door.ingest),
        fanout=_upstream("fanout", door.fanout),
        resolver=_resolver(door.resolvers),
        body_bytes=str(door.body_bytes + BODY_SLACK_BYTES),
        batch_body_bytes=str(door.batch_body_bytes + BODY_SLACK_BYTES),
        plan_body_bytes=str(PLAN_BODY_BYTES_MAX + BODY_SLACK_BYTES),
        plan_answer_s=str(PLAN_ANSWER_S),
        body_timeout_s=str(door.body_timeout_s + BODY_SLACK_S),
        answer_s=str(door.answer_s),
        app_paths="|".join(APP_PATHS),
        fix_answer_ms=str(FIX_ANSWER_MS),
        health_answer_ms=str(HEALTH_ANSWER_MS),
        upstream_idle_s=str(UPSTREAM_IDLE_S),
        headers_max=str(HEADERS_MAX),
        requests_per_address=str(REQUESTS_PER_ADDRESS_MAX),
        unbelieved="\n".join(f'        proxy_set_header {name} "";' for name in UNBELIEVED),
        proxies=_believe(door.trusted_proxies),
        problems=error_pages(),
        workers=str(door.workers),
        connections=str(door.connections),
        pages=door.pages,
    )


def is_name(host: str) -> bool:
    """Whether a host must be looked up."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return True
    return False


def _upstream(name: str, server: str) -> str:
    """The servers of an upstream. Those behind a name are looked up again while nginx runs."""
    lines = [f"server {server} max_fails=0;"]
    if is_name(server.rpartition(":")[0]):
        # `resolve` wants the state that all workers share.
        lines = [f"zone {name} 64k;", f"server {server} resolve max_fails=0;"]
    return "\n".join(f"        {line}" for line in lines)


def _resolver(servers: tuple[str, ...]) -> str:
    return f"    resolver {' '.join(servers)} valid={NAME_VALID_S}s;" if servers else ""


def _believe(proxies: tuple[str, ...]) -> str:
    """Take the client's address from the header of these proxies, past all that are among them."""
    if not proxies:
        return ""
    lines = [f"set_real_ip_from {proxy};" for proxy in proxies]
    lines += ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
    return "\n".join(f"    {line}" for line in lines)
