"""Files with certificates that URLs name. What is wrong with one is found out by each connection
anew, and looks like a server that is away.
"""

import ssl
from urllib.parse import parse_qs

# Of PostgreSQL's modes, those in which the file is read.
_VERIFIED = ("require", "verify-ca", "verify-full")


def require_redis_authorities(url: str) -> None:
    """Raise `ValueError` where `?ssl_ca_certs=` of REDIS_URL names what cannot be used."""
    if url.startswith("rediss"):
        _require_usable("REDIS_URL", "ssl_ca_certs", url)


def require_database_authorities(name: str, url: str) -> None:
    """Raise `ValueError` where `?sslrootcert=` of a PostgreSQL URL names what cannot be used."""
    if _asked(url, "sslmode") in _VERIFIED:
        _require_usable(name, "sslrootcert", url)


def _require_usable(name: str, option: str, url: str) -> None:
    path = _asked(url, option)
    if not path:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise ValueError(f"{name}: {option}: there is no certificate in {path!r}") from None
    except OSError as e:
        raise ValueError(f"{name}: {option}: {path!r} cannot be read: {e.strerror}") from None


def _asked(url: str, option: str) -> str:
    """An option of the query; several hosts, as stand before it, are not everybody's URL."""
    return parse_qs(url.partition("?")[2].partition("#")[0]).get(option, [""])[-1]
