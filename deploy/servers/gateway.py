"""nginx as the one front door of `fleetline up`.

As root it runs, master and all, as an account of its own, without any privilege: it talks to
everybody. Where that account may not come to the home or to the packages, what nginx reads is
copied to where it may.
"""

import contextlib
import hashlib
import math
import os
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path

from common.contract import BATCH_BODY_BYTES_MAX, BODY_BYTES_MAX
from common.errors import ConfigError
from common.processes.supervision.policy import RestartPolicy
from common.processes.supervision.spec import ChildSpec
from common.settings import Settings
from common.settings.lists import parse_networks
from deploy.gateway.pages import Pages, find_pages, locations, write_pages
from deploy.gateway.render import Door, address, is_name, render
from deploy.gateway.streets import street_locations
from deploy.servers import packages
from deploy.servers.checks import http_answers
from deploy.servers.privileges import Descent, first_closed
from deploy.servers.streets import copy_streets, streets_parent
from deploy.stack import folders
from deploy.stack.accounts import SystemUser, account_of
from deploy.stack.environment import plain_environment
from deploy.stack.home import Home
from deploy.stack.streets import FOLDER as STREETS_FOLDER
from deploy.stack.wiring import gateway_host, local_gateway_host, local_host

# More processes than this gain nothing beside the roles on the same machine.
WORKERS_MAX = 4
# A proxied connection is two descriptors; nginx allots its table at the start.
CONNECTIONS_MAX = 65_536
# Descriptors that are not connections.
SPARE_FILES = 64
# Folders that nginx writes in; `-p` leads it to no other.
WRITTEN = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi", "run")
# Under root, where the home or the packages are closed to the front door's account.
OPEN_FOLDER = Path("/run/fleetline")
RESOLV_CONF = Path("/etc/resolv.conf")
# File in each folder there that names its home.
HOME_NOTE = "home"


def gateway_spec(home: Home, settings: Settings) -> ChildSpec:
    """The front door on GATEWAY_PORT, its folder made anew."""
    account = account_of("gateway")
    binary = packages.gateway_binary()
    pages = find_pages(packages.leaflet_folder())
    # An earlier version gave this folder to an account, which may have put links in it.
    data = home.folder("data") / "gateway"
    folders.remove_folder(data)
    closed = account and first_closed(account, home.path, binary, pages.web, pages.leaflet)
    if account is not None and closed is not None:
        data = _open_folder(home)
        binary = _copied(binary, data / "nginx")
        pages = replace(
            pages,
            web=_copied(pages.web, data / "pages"),
            leaflet=_copied(pages.leaflet, data / "leaflet"),
        )
    _fill(data, account, pages, settings)
    streets = street_locations(streets_parent(home, data if closed == home.path else None))
    _configure(data, account, f"{locations(pages, settings)}\n{streets}", settings)
    host, port = local_gateway_host(settings), settings.gateway_port
    tls = bool(settings.tls_cert)
    return ChildSpec(
        name="gateway",
        argv=(str(binary), "-p", f"{data}/", "-c", "nginx.conf", "-e", "stderr"),
        env=plain_environment(os.environ),
        inherits_env=False,
        cwd=data,
        log_file=home.log("gateway"),
        pid_file=home.pid("gateway"),
        # The door alone: what stands behind it has its own checks.
        ready=lambda: http_answers(host, port, "/health/gateway", tls=tls),
        become=Descent(account) if account is not None else None,
        # Open answers are finished; sockets were closed by the fan-out before.
        stop_signal=signal.SIGQUIT,
        stop_timeout_s=2.5,
        policy=RestartPolicy(halting=frozenset()),
    )


def _fill(data: Path, account: SystemUser | None, pages: Pages, settings: Settings) -> None:
    """Its pages, which are ours, and the folders it writes in, which are its."""
    readable = 0o755 if account is not None else 0o700
    folders.make_folder(data, readable)
    web = folders.make_folder(data / "web", readable)
    write_pages(web, pages, settings)
    for file in web.iterdir():
        file.chmod(0o644 if account is not None else 0o600)
    for name in WRITTEN:
        folders.make_folder(data / name, 0o700, account)
    if settings.tls_cert:
        _copy_certificate(data / "tls", account, settings)


def _configure(
    data: Path, account: SystemUser | None, locations_of_pages: str, settings: Settings
) -> None:
    config = render(_door(settings, locations_of_pages))
    mode = 0o644 if account is not None else 0o600
    folders.write_file(data / "nginx.conf", config.encode(), mode)


def _copy_certificate(folder: Path, account: SystemUser | None, settings: Settings) -> None:
    """Certificate and key where the front door's account alone may read them."""
    folders.make_folder(folder, 0o700)
    for setting, name in (("tls_cert", "cert.pem"), ("tls_key", "key.pem")):
        source = Path(getattr(settings, setting))
        try:
            content = source.read_bytes()
        except OSError as e:
            raise ConfigError(f"{setting.upper()}: cannot read {source}: {e.strerror}") from e
        folders.write_file(folder / name, content, 0o600, account)
    folders.make_folder(folder, 0o700, account)


def _open_folder(home: Home) -> Path:
    """A folder for this home where every account may come, ours alone to write."""
    data = _open_path(home)
    try:
        folders.make_folder(OPEN_FOLDER, 0o755)
        _forget_gone_homes()
        folders.remove_folder(data)
        folders.make_folder(data, 0o755)
        folders.write_file(data / HOME_NOTE, os.fsencode(home.path))
        return data
    except OSError as e:
        raise ConfigError(
            f"the front door's account cannot come to {home.path}, and {OPEN_FOLDER} cannot be "
            "written; let others pass there, or run with --no-gateway"
        ) from e


def _forget_gone_homes() -> None:
    """Remove the copies of stacks that were killed and whose home was removed since."""
    for note in OPEN_FOLDER.glob(f"*/{HOME_NOTE}"):
        # Another stack may be doing the same.
        with contextlib.suppress(OSError):
            if not Path(os.fsdecode(note.read_bytes())).exists():
                folders.remove_folder(note.parent)


def _open_path(home: Home) -> Path:
    return OPEN_FOLDER / hashlib.sha256(os.fsencode(home.path)).hexdigest()[:16]


def renew_streets(home: Home) -> None:
    """After a change of the home's streets: bring the copies up to date, where there are some."""
    copies = _open_path(home)
    if (copies / STREETS_FOLDER).is_dir():
        copy_streets(home, copies)


def forget_open_folder(home: Home) -> None:
    """Remove the copies; what there is under the home stays, for a person to look at."""
    with contextlib.suppress(OSError, ConfigError):
        folders.remove_folder(_open_path(home))


def _copied(source: Path, target: Path) -> Path:
    """A copy for all to read, and to run if `source` is run."""
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
        target.chmod(0o755)
        return target
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def _door(settings: Settings, pages: str) -> Door:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    behind = local_host(settings)
    ingest, fanout = settings.ingest_host or behind, settings.fanout_host or behind
    return Door(
        listen=address(gateway_host(settings), settings.gateway_port),
        ingest=address(ingest, settings.ingest_port),
        fanout=address(fanout, settings.fanout_port),
        batch_body_bytes=BATCH_BODY_BYTES_MAX,
        body_bytes=BODY_BYTES_MAX,
        body_timeout_s=math.ceil(settings.body_timeout_s),
        # Longer than the longest answer ingest gives: a route.
        answer_s=math.ceil(settings.route_timeout_s) + 5,
        workers=min(WORKERS_MAX, os.cpu_count() or 1),
        connections=min(CONNECTIONS_MAX, max(256, files - SPARE_FILES)),
        tls=bool(settings.tls_cert),
        trusted_proxies=parse_networks("TRUSTED_PROXIES", settings.trusted_proxies),
        resolvers=name_servers() if is_name(ingest) or is_name(fanout) else (),
        pages=pages,
    )


def name_servers(file: Path = RESOLV_CONF) -> tuple[str, ...]:
    """The name servers of this machine as nginx takes them. Raises `ConfigError`: none."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except (OSError, UnicodeError) as e:
        raise ConfigError(f"cannot read the name servers in {file}") from e
    named = [line[1] for line in lines if len(line) > 1 and line[0] == "nameserver"]
    # A scope, as in fe80::1%eth0, is nothing to nginx.
    found = tuple(
        f"[{server}]" if ":" in server else server for server in named if "%" not in server
    )
    if not found:
        raise ConfigError(f"INGEST_HOST and FANOUT_HOST: {file} names no name server")
    return found
