"""nginx as the one front door of `fleetline up`.

As root it runs, master and all, as an unprivileged user: it talks to everybody.
"""

import math
import os
import resource
import signal
from pathlib import Path

from common.access.address import parse_networks
from common.errors import ConfigError
from common.processes.policy import RestartPolicy
from common.processes.spec import ChildSpec
from common.settings import Settings
from deploy.gateway.pages import find_pages, locations, write_pages
from deploy.gateway.render import Door, address, render
from deploy.home import Home
from deploy.servers import packages, privileges
from deploy.servers.checks import http_answers
from deploy.wiring import gateway_host, local_gateway_host, local_host

# More processes than this gain nothing beside the roles on the same machine.
WORKERS_MAX = 4
# A proxied connection is two descriptors; nginx allots its table at the start.
CONNECTIONS_MAX = 65_536
# Descriptors that are not connections.
SPARE_FILES = 64


def gateway_spec(home: Home, settings: Settings) -> ChildSpec:
    """The front door on GATEWAY_PORT, its configuration written now."""
    account = privileges.unprivileged_account()
    data = home.folder("data/gateway")
    tls = bool(settings.tls_cert)
    binary = packages.gateway_binary()
    pages = find_pages(packages.leaflet_folder())
    write_pages(data / "web", pages, settings)
    (data / "nginx.conf").write_text(render(_door(settings, locations(pages, settings))))
    for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        privileges.give(account, home.folder(f"data/gateway/{name}"))
    privileges.give(account, data)
    if settings.tls_cert:
        _copy_certificate(data / "tls", account, settings)
    host, port = local_gateway_host(settings), settings.gateway_port
    return ChildSpec(
        name="gateway",
        argv=(str(binary), "-p", f"{data}/", "-c", "nginx.conf", "-e", "stderr"),
        cwd=data,
        log_file=home.log("gateway"),
        pid_file=home.pid("gateway"),
        # The door alone: what stands behind it has its own checks.
        ready=lambda: http_answers(host, port, "/health/gateway", tls=tls),
        become=privileges.become(account, data, binary.parent, pages.web, pages.leaflet),
        # Open answers are finished; sockets were closed by the fan-out before.
        stop_signal=signal.SIGQUIT,
        stop_timeout_s=2.5,
        policy=RestartPolicy(halting=frozenset()),
    )


def _copy_certificate(folder: Path, account: privileges.Account | None, settings: Settings) -> None:
    """Certificate and key where the front door's user may read them, and nobody else."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for setting, name in (("tls_cert", "cert.pem"), ("tls_key", "key.pem")):
        source, target = Path(getattr(settings, setting)), folder / name
        try:
            content = source.read_bytes()
        except OSError as e:
            raise ConfigError(f"{setting.upper()}: cannot read {source}: {e.strerror}") from e
        target.unlink(missing_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(content)
        privileges.give(account, target)
    privileges.give(account, folder)


def _door(settings: Settings, pages: str) -> Door:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    behind = local_host(settings)
    return Door(
        listen=address(gateway_host(settings), settings.gateway_port),
        ingest=address(behind, settings.ingest_port),
        fanout=address(behind, settings.fanout_port),
        batch_body_bytes=settings.batch_body_bytes_max,
        body_bytes=settings.body_bytes_max,
        body_timeout_s=math.ceil(settings.body_timeout_s),
        # Longer than the longest answer ingest gives: a route.
        answer_s=math.ceil(settings.route_timeout_s) + 5,
        workers=min(WORKERS_MAX, os.cpu_count() or 1),
        connections=min(CONNECTIONS_MAX, max(256, files - SPARE_FILES)),
        tls=bool(settings.tls_cert),
        trusted_proxies=parse_networks("TRUSTED_PROXIES", settings.trusted_proxies),
        pages=pages,
    )
