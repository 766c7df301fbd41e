"""What `deploy/compose.yaml` hands to the images of Redis and PostgreSQL, on real servers."""

import asyncio
import os
import subprocess
from pathlib import Path

import asyncpg
import pytest

from deploy.schema.migrate import migrate
from deploy.servers import packages
from deploy.servers.checks import redis_answers
from deploy.servers.redis import redis_spec
from deploy.stack.home import Home
from tests.servers import free_port
from tests.servers.postgres import PostgresServer
from tests.wait import wait_until

FOLDER = Path(__file__).parents[3] / "deploy/compose"
# What a container has of its own: the address, the folder, and as much memory as it is given.
OWN = {"bind", "port", "dir", "daemonize", "logfile", "maxmemory", "maxclients", "requirepass"}


def options(text: str) -> dict[str, str]:
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    return {name: value for name, value in lines if name != "include"}


def test_redis_promises_what_the_embedded_one_does(tmp_path):
    # A test of both files: one that loses what it acknowledged is no Redis for this.
    redis_spec(Home(tmp_path), 1, "secret")
    embedded = options((tmp_path / "data/redis.conf").read_text())
    container = options((FOLDER / "redis.conf").read_text())
    assert {n: v for n, v in container.items() if n not in OWN} == {
        n: v for n, v in embedded.items() if n not in OWN
    }


def test_redis_takes_its_file_and_asks_for_the_password(tmp_path):
    secret = tmp_path / "redis.conf"
    secret.write_text("requirepass the-password\n")
    text = (FOLDER / "redis.conf").read_text()
    config = tmp_path / "container.conf"
    config.write_text(
        text.replace("/run/secrets/redis.conf", str(secret)).replace("dir /data", f"dir {tmp_path}")
    )
    port = free_port()
    argv = (str(packages.redis_binary()), str(config), "--maxmemory", "64mb", "--port", str(port))
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: redis_answers(port, "the-password"), what="Redis")
        assert not redis_answers(port, "another")
        assert b"the-password" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def made(postgres_session: PostgresServer, tmp_path: Path):
    """The database that the script makes, and the password of its role."""
    (tmp_path / "password").write_text("p'a\\ss\n")
    script = (FOLDER / "database.sql").read_text()
    script = script.replace("/run/secrets/postgres_password", str(tmp_path / "password"))
    file = tmp_path / "database.sql"
    file.write_text(script)
    url = postgres_session.url("postgres")
    psql = [
        str(packages.postgres_binary("psql")),
        "--set=ON_ERROR_STOP=1",
        "--no-psqlrc",
        "--quiet",
    ]
    subprocess.run([*psql, f"--file={file}", url], check=True, env={**os.environ, "LC_ALL": "C"})
    yield postgres_session.url("fleetline").replace("postgres@", "fleetline@")
    postgres_session.drop_database("fleetline")
    asyncio.run(postgres_session.admin("DROP ROLE fleetline"))


def test_the_database_is_its_roles_own_and_the_role_is_nobody_else(made):
    assert asyncio.run(migrate(made))

    async def ask() -> asyncpg.Record | None:
        connection = await asyncpg.connect(made, timeout=5)
        try:
            return await connection.fetchrow(
                "SELECT rolsuper OR rolcreaterole OR rolcreatedb AS rights, "
                "rolcanlogin AS enters, to_regclass('locations') IS NOT NULL AS schema "
                "FROM pg_roles WHERE rolname = current_user"
            )
        finally:
            await connection.close()

    row = asyncio.run(ask())
    assert row is not None
    assert dict(row) == {"rights": False, "enters": True, "schema": True}
