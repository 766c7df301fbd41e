"""Settings that list several things, separated by commas: networks, hosts, origins. Pure.

Each is read by one parser wherever it is used. Beside pages (`https://shop.example.org`) a list of
origins takes phone apps made of web pages, whose origin has a scheme of their own
(`capacitor://localhost`).
"""

import ipaddress
import re

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
# A scheme, a host or an IPv6 address in brackets, and a port if need be; nothing behind it.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])"
    r"(:(?P<port>[0-9]{1,5}))?"
)
# Browsers leave these out of an Origin.
_DEFAULT_PORTS = {"http": "80", "https": "443"}
# A page from a file has the origin `null`, which any page can give itself.
_NO_ORIGINS = {"file", "data", "javascript", "blob"}
_PORTS = range(1, 65_536)


def parse_networks(name: str, setting: str) -> tuple[str, ...]:
    """The addresses and networks that the setting `name` lists. Raises `ValueError`."""
    try:
        return tuple(str(ipaddress.ip_network(part)) for part in _parts(setting))
    except ValueError as e:
        raise ValueError(f"{name}: {e}") from e


def parse_hosts(name: str, setting: str) -> list[str]:
    """The host names that the setting `name` lists. Raises `ValueError`."""
    hosts = [part.lower().strip("[]") for part in _parts(setting)]
    for host in hosts:
        if not _HOST.fullmatch(host) and not _is_address(host):
            raise ValueError(f"{name}: {host!r} is not a host such as 10.0.2.2, without a port")
    return hosts


def parse_origins(name: str, setting: str) -> list[str]:
    """The origins that the setting `name` lists, spelled as browsers spell them.

    Raises `ValueError` for what is no origin: a wildcard would allow everybody, and a bare host
    would match nobody.
    """
    return [_canonical(name, part) for part in _parts(setting)]


def _parts(setting: str) -> list[str]:
    return [part.strip() for part in setting.split(",") if part.strip()]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _canonical(name: str, text: str) -> str:
    match = _ORIGIN.fullmatch(text.rstrip("/").lower())
    if match is None or match["scheme"] in _NO_ORIGINS or int(match["port"] or 1) not in _PORTS:
        raise ValueError(f"{name}: {text!r} is not an origin such as https://example.org")
    scheme, host, port = match["scheme"], match["host"], match["port"]
    if port is None or port == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{int(port)}"
