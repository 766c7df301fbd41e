"""The listening socket, and how many sockets the system lets a process have."""

import contextlib
import errno
import resource
import socket
from typing import Final

from common import log
from common.errors import ConfigError
from common.settings import Settings
from fanout.sockets.session import UNSENT_BYTES_MAX

# What one process needs besides its sockets.
FILES_SPARE: Final = 256
# Linux' option number; Python 3.11 does not name it.
TCP_NOTSENT_LOWAT: Final = 25

_log = log.get("fanout")


def listen(settings: Settings, outbox_bytes_max: int, *, shared: bool = False) -> socket.socket:
    """The listening socket; accepted ones inherit its options. Raises `ConfigError`."""
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Linux doubles what is asked for, to account for its own overhead.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, outbox_bytes_max // 2)
        unsent = min(UNSENT_BYTES_MAX, outbox_bytes_max)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent)
        sock.bind((settings.bind_host, settings.fanout_port))
        sock.setblocking(False)
    except OSError as e:
        sock.close()
        where = f"{settings.bind_host}:{settings.fanout_port}"
        in_use = e.errno == errno.EADDRINUSE
        detail = "in use" if in_use else (e.strerror or str(e))
        raise ConfigError(f"FANOUT_PORT: {where} is {detail}") from e
    return sock


def sessions_max(settings: Settings) -> int:
    """Sockets this process can hold: those promised, or as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.fanout_connections_max + FILES_SPARE
    if soft >= wanted:
        return settings.fanout_connections_max
    if hard != resource.RLIM_INFINITY and hard < wanted:
        # Only root may raise it further; others get a 503 at the door instead of EMFILE.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return settings.fanout_connections_max
        _log.warning("files.few", allowed=hard, wanted=wanted, hint="ulimit -n")
        wanted = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(1, wanted - FILES_SPARE)
