"""`fleetline backup DIR`: a copy of the stack in FLEETLINE_HOME, or of the named servers.

The stack goes on meanwhile. The folder has its name once all of it is on disk and hashed.
"""

import asyncio
import os
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import redis

from common.databases.seat import ONLY
from common.errors import FleetlineError
from common.keys import META
from common.layout import read_layout
from common.settings import Settings
from deploy.backup.contents import (
    REDIS_FILE,
    SECRET_FILES,
    Contents,
    database_file,
    partial_folder,
    publish,
    sha256_of,
    write_contents,
)
from deploy.backup.database_copy import dump_database
from deploy.backup.progress import Steps
from deploy.backup.redis_copy import copy_redis
from deploy.stack import folders
from deploy.tools.stack_database import stack_databases
from deploy.tools.stack_redis import stack_redis, stack_redis_url


def run(settings: Settings, folder: Path) -> int:
    """Make the backup. Returns the exit status; raises `FleetlineError`."""
    # Files stay closed when they are copied elsewhere, too.
    os.umask(0o077)
    partial = partial_folder(folder)
    try:
        with Steps() as steps:
            contents = _copy(settings, partial, steps)
            write_contents(partial, contents)
            publish(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {contents.fixes} fixes and the stream, {size / 1e6:.1f} MB")
    return 0


def _copy(settings: Settings, partial: Path, steps: Steps) -> Contents:
    shards = _shards(settings)
    began_at = _now()
    # The order is the promise: see the package.
    with steps.step("redis") as advanced:
        copy_redis(stack_redis_url(settings), partial / REDIS_FILE, advanced)
    names, fixes = [REDIS_FILE], 0
    for seat, url in stack_databases(settings).items():
        names.append(database_file(seat.number))
        with steps.words("database" if seat == ONLY else str(seat)) as said:
            fixes += asyncio.run(dump_database(url, partial / names[-1], said))
    for secret in settings.fleetline_home.glob(SECRET_FILES):
        folders.write_file(partial / secret.name, folders.read_own(secret))
        names.append(secret.name)
    with steps.words("hashing"):
        files = {name: sha256_of(partial / name) for name in names}
    return Contents(version("fleetline"), began_at, _now(), shards, fixes, files)


def _shards(settings: Settings) -> int:
    with stack_redis(settings) as client:
        try:
            if client.info("cluster").get("cluster_enabled"):
                raise FleetlineError("this Redis is a cluster: copy each primary by its own tools")
        except redis.ResponseError:
            pass
        layout = read_layout(client.hget(META, "shards"), None)
    if layout is None:
        raise FleetlineError("this Redis holds no Fleetline: nothing was ever started on it")
    return layout.shards


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
