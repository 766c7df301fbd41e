"""What settings must say before a stranger can reach anything. Pure.

Open (`AUTH=off`) is for one machine: every listener on loopback. Settings that bind wider must
also turn `AUTH` on, or no role starts.
"""

import ipaddress
import re
from typing import TYPE_CHECKING

from common.settings.lists import parse_hosts, parse_origins

if TYPE_CHECKING:
    from common.settings import Settings

# RFC 7518 section 3.2: an HS256 key has at least the size of its hash.
SECRET_BYTES_MIN = 32
# Plain characters only: the address becomes part of links, and of a header.
_PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


def require_auth_when_public(settings: "Settings") -> None:
    """Raise `ValueError` with what to set, when something is open that must not be."""
    for name in ("bind_host", "gateway_host"):
        host = getattr(settings, name)
        is_set = host or name == "bind_host"
        if settings.auth == "off" and is_set and not listens_on_loopback(host):
            raise ValueError(
                f"{name.upper()}: {host!r} can be reached by others, and AUTH is off; "
                f"set AUTH=on and AUTH_SECRET, or {name.upper()}=127.0.0.1"
            )
    secrets = parse_secrets(settings.auth_secret)
    if settings.auth == "on" and not secrets:
        raise ValueError(
            "AUTH_SECRET: AUTH=on needs one of 32 bytes or more, as from `openssl rand -hex 32`"
        )
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ValueError("TLS_CERT and TLS_KEY: set both or none")
    if settings.public_url and not _PUBLIC_URL.fullmatch(settings.public_url.rstrip("/")):
        raise ValueError("PUBLIC_URL must be http(s)://host, with a port if need be")
    parse_origins("CORS_ORIGINS", settings.cors_origins)
    parse_origins("WS_ORIGINS", settings.ws_origins)
    parse_hosts("ALLOWED_HOSTS", settings.allowed_hosts)


def listens_on_loopback(host: str) -> bool:
    """Whether a server bound to `host` can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Any other name may be anything, and an empty one is every address.
        return host == "localhost"


def parse_secrets(setting: str, name: str = "AUTH_SECRET") -> list[str]:
    """The setting `name`: several, separated by commas, newest first. Raises `ValueError`."""
    secrets = [part.strip() for part in setting.split(",") if part.strip()]
    if any(len(secret.encode()) < SECRET_BYTES_MIN for secret in secrets):
        raise ValueError(f"{name} must have {SECRET_BYTES_MIN} bytes or more each")
    return secrets
