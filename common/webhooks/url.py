"""Which URLs a webhook may have. Pure: names are not resolved here.

What a name stands for is judged when the sender connects (`common.webhooks.address`), because it
may be another address by then.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from common.webhooks.address import is_public
from common.webhooks.limits import URL_CHARS_MAX

# Names that mean this machine or its network, whatever a resolver says (RFC 6761, RFC 6762).
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")


def fault_of(url: str, *, private: bool) -> str | None:
    """What is wrong with a URL, or None. `private`: addresses that are not public are taken."""
    if len(url) > URL_CHARS_MAX:
        return f"must have {URL_CHARS_MAX} characters at most"
    if not url.isascii() or not url.isprintable() or any(c in ' "<>\\^`{|}' for c in url):
        return "must be written in characters of a URL; others are escaped"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "must be a URL"
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return "must be http(s)://host, with a port and a path if need be"
    if "@" in parts.netloc or "#" in url:
        return "must hold no user, password or fragment"
    if not private and not _may_be_public(host):
        return "must lead to a public address"
    return None


def _may_be_public(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        name = host.rstrip(".").lower()
        last = name.rpartition(".")[2]
        # 127.1 and 0x7f000001 are addresses to a resolver; no public name ends in a number.
        numeric = last.isdigit() or last.startswith("0x")
        local = any(name == end or name.endswith("." + end) for end in _LOCAL_NAMES)
        return bool(name) and not numeric and not local
    return is_public(host)
