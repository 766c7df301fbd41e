"""`fleetline restore DIR`: an empty home with what a backup holds, for `fleetline up` to start.

Both servers are started on what they were given, so that a copy which they cannot read is found
here. The home is made beside its name and gets it when it is whole.
"""

import asyncio
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common.errors import ConfigError, FleetlineError
from common.processes.supervision.starting import StartFailed, Stopped
from common.processes.supervision.supervisor import Supervisor
from common.settings import Settings
from deploy.backup.contents import (
    DATABASE_FILE,
    REDIS_FILE,
    Contents,
    partial_folder,
    publish,
    read_contents,
)
from deploy.backup.database_copy import restore_database
from deploy.backup.progress import Steps
from deploy.backup.redis_copy import lay_out
from deploy.servers import packages
from deploy.servers.postgres import postgres_spec
from deploy.servers.postgres_making import POSTGRES_PASSWORD
from deploy.servers.redis import REDIS_PASSWORD, redis_spec
from deploy.stack import folders
from deploy.stack.home import Home

SERVERS_TIMEOUT_S = 600.0
SERVERS_STOP_S = 60.0
# A long history takes hours; this only ends what hangs.
RESTORE_TIMEOUT_S = 7 * 86_400.0


def run(settings: Settings, folder: Path) -> int:
    """Make the home. Returns the exit status; raises `FleetlineError`."""
    for name in ("redis_url", "database_url"):
        if settings.given(name):
            raise ConfigError(
                f"{name.upper()}: restore fills a home with embedded servers; for a server of "
                "your own see docs/operate.md"
            )
    for server in ("redis", "postgres"):
        packages.require(server)
    with Steps() as steps:
        with steps.words("hashing"):
            contents = read_contents(folder)
        if contents.databases > 1:
            raise ConfigError(
                f"{folder}: is of {contents.databases} databases, and a home has one; "
                "fill servers of your own, see docs/operate.md"
            )
        os.umask(0o077)
        target = settings.fleetline_home.resolve()
        partial = partial_folder(target)
        try:
            _fill(Home(partial), folder, contents, steps)
            publish(partial, target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    print(f"{target}: {contents.fixes} fixes and the stream as of {contents.began_at}")
    print(f"start it with SHARDS={contents.shards} fleetline up --home {target}")
    return 0


def _fill(home: Home, folder: Path, contents: Contents, steps: Steps) -> None:
    home.lock()
    try:
        lay_out(folder / REDIS_FILE, folders.make_folder(home.folder("data") / "redis"))
        for secret in contents.secrets():
            folders.write_file(home.path / secret, (folder / secret).read_bytes())
        stored = _restore(home, folder, steps)
        if stored != contents.fixes:
            raise FleetlineError(
                f"{contents.fixes} fixes were in the backup, {stored} are in the database"
            )
    finally:
        home.forget_run()
        home.unlock()


def _restore(home: Home, folder: Path, steps: Steps) -> int:
    redis_port, postgres_port = _free_ports()
    servers = (
        redis_spec(home, redis_port, home.secret(REDIS_PASSWORD)),
        postgres_spec(home, postgres_port, lambda _: None),
    )
    password = home.secret(POSTGRES_PASSWORD)
    url = f"postgresql://fleetline:{password}@127.0.0.1:{postgres_port}/fleetline"
    supervisor = Supervisor("restore", drain_timeout_s=SERVERS_STOP_S)
    # The thread ends with the servers that it talks to.
    with ThreadPoolExecutor(1) as pool, supervisor:
        try:
            with steps.words("servers"):
                supervisor.spawn(*servers)
                supervisor.await_ready(SERVERS_TIMEOUT_S)
            with steps.words("database") as said:
                restored = restore_database(url, folder / DATABASE_FILE, said)
                work = pool.submit(asyncio.run, restored)
                supervisor.await_ready(RESTORE_TIMEOUT_S, work.done)
                return work.result()
        except StartFailed as e:
            raise FleetlineError(f"{e}: {home.last_words(e.child)}") from e
        except Stopped as e:
            raise FleetlineError("stopped; nothing was restored") from e


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for sock in (one, two):
            sock.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
