"""Whether `fleetline up` can have the ports it needs, asked before anything is made or started."""

import contextlib
import os
import time
from collections.abc import Iterator

from common.errors import ConfigError
from common.processes import process
from common.settings import Settings
from deploy.servers.checks import port_is_free
from deploy.stack.accounts import SystemUser, account_of
from deploy.stack.home import Home
from deploy.stack.wiring import ports_needed

# What a killed `up` left behind has this long to go.
LEFTOVER_S = 10.0


def await_ports(
    home: Home, settings: Settings, roles: tuple[str, ...], *, gateway: bool, cluster: bool
) -> None:
    """Refuse ports that cannot be had. Raises `ConfigError`.

    What a killed `up` of this home left may still be letting go: for that alone it waits.
    """
    deadline_s = time.monotonic() + LEFTOVER_S
    leftovers = home.leftovers()
    # Nothing listens as root, even where `up` is root; one account may listen where another may.
    listener = account_of("roles")
    for setting, host, port in ports_needed(settings, roles, gateway=gateway, cluster=cluster):
        while not _is_ours(listener, host, port):
            waiting = any(process.is_alive(pid) for pid in leftovers)
            if not waiting or time.monotonic() > deadline_s:
                raise ConfigError(_why_not(listener, setting, host, port))
            time.sleep(0.05)


def _is_ours(listener: SystemUser | None, host: str, port: int) -> bool:
    with _acting_as(listener):
        return port_is_free(host, port)


def _why_not(listener: SystemUser | None, setting: str, host: str, port: int) -> str:
    where = f"{setting}: port {port} on {host}"
    if listener is not None and port_is_free(host, port):
        return f"{where} is root's alone, and this server is not run as root; --port P moves all"
    return f"{where} is in use or not ours to listen on; --port P moves all ports"


@contextlib.contextmanager
def _acting_as(account: SystemUser | None) -> Iterator[None]:
    """Be that user for a moment, as far as the kernel's permissions go."""
    if account is None:
        yield
        return
    os.seteuid(account.uid)
    try:
        yield
    finally:
        os.seteuid(0)
