"""Origins: what a browser says of the page that asks, and the settings that list some. Pure.

CORS_ORIGINS and WS_ORIGINS are read by this one parser. Beside pages (`https://shop.example.org`)
it takes phone apps made of web pages, whose origin has a scheme of their own
(`capacitor://localhost`).
"""

import re

# A scheme, a host or an IPv6 address in brackets, and a port if need be; nothing behind it.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])"
    r"(:(?P<port>[0-9]{1,5}))?"
)
# Browsers leave these out of an Origin.
_DEFAULT_PORTS = {"http": "80", "https": "443"}
# A page from a file has the origin `null`, which any page can give itself.
_NO_ORIGINS = {"file", "data", "javascript", "blob"}


def parse_origins(name: str, setting: str) -> list[str]:
    """The origins that the setting `name` lists, spelled as browsers spell them.

    Raises `ValueError` for what is no origin: a wildcard would allow everybody, and a bare host
    would match nobody.
    """
    return [_canonical(name, part.strip()) for part in setting.split(",") if part.strip()]


def _canonical(name: str, text: str) -> str:
    match = _ORIGIN.fullmatch(text.rstrip("/").lower())
    if match is None or match["scheme"] in _NO_ORIGINS or int(match["port"] or 1) not in _PORTS:
        raise ValueError(f"{name}: {text!r} is not an origin such as https://example.org")
    scheme, host, port = match["scheme"], match["host"], match["port"]
    if port is None or port == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"


_PORTS = range(1, 65_536)


def is_same_host(origin: str, host: str) -> bool:
    """Whether the header Origin names the host and port of the header Host."""
    scheme, separator, rest = origin.partition("://")
    return bool(separator) and scheme in _DEFAULT_PORTS and rest.lower() == host.lower() != ""
