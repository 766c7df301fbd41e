"""A real PostgreSQL for tests: one server for the run, a fresh database for each test."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from common.processes.process import set_parent_death_signal
from deploy.schema.migrate import migrate
from deploy.servers import packages
from deploy.servers.privileges import descent
from deploy.stack.accounts import named_account
from tests.servers import free_port
from tests.wait import wait_until


class Databases(ABC):
    """Databases of their own with the schema in them, on a server that runs.

    `label` is part of their names: several processes may use one server at once.
    """

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._made = 0

    @property
    def template(self) -> str:
        """The database that the others are copies of."""
        return f"template_fleetline{self._label}"

    @abstractmethod
    def url(self, database: str) -> str:
        """Where `database` is."""

    async def admin(self, sql: str) -> None:
        """Run a statement outside of them."""
        connection = await asyncpg.connect(self.url("postgres"), timeout=5)
        try:
            await connection.execute(sql)
        finally:
            connection.terminate()

    async def make_template(self) -> None:
        """Once, before the first of them."""
        await self.admin(f"CREATE DATABASE {self.template}")
        await migrate(self.url(self.template))

    def create_database(self) -> str:
        """Make one; its name."""
        return self._create(self.template)

    def create_empty(self) -> str:
        """Make one with nothing in it; its name."""
        return self._create("template0")

    def copy_of(self, url: str) -> str:
        """Make one with all that is in another, which nobody may be connected to; its name."""
        return self._create(url.rpartition("/")[2])

    def _create(self, template: str) -> str:
        self._made += 1
        name = f"test{self._label}_{self._made}"
        asyncio.run(self.admin(f"CREATE DATABASE {name} TEMPLATE {template}"))
        return name

    def drop_database(self, name: str) -> None:
        """Remove it, whoever is connected."""
        asyncio.run(self.admin(f"DROP DATABASE {name} WITH (FORCE)"))


class PostgresServer(Databases):
    """A PostgreSQL process. It keeps its port and its data over `stop` and `start`."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__()
        self.port = free_port()
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._options = options
        self._account = named_account()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Pid of the running server."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str) -> str:
        """Where `database` is."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """initdb, start, and the template that tests copy."""
        self._data.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(self._data, self._account.uid, self._account.gid)
        self._spawn(
            "initdb", "-D", str(self._data), "-U", "postgres", "--encoding=UTF8", "--locale=C",
            "--no-sync", "--auth=trust",
        ).wait()  # fmt: skip
        self.start()
        asyncio.run(self.make_template())

    def start(self) -> None:
        """Start it and wait until it answers. Only on the main thread: the kernel ends the
        server with the thread that started it.
        """
        self._process = self._spawn(
            "postgres", "-D", str(self._data), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
            "-c", "max_connections=50", "-c", "shared_buffers=64MB", "-c", "jit=off",
            # No test ends the machine, and what a killed server wrote the kernel has. Making and
            # dropping a database for each test waits for the disk otherwise.
            "-c", "fsync=off",
            *self._options,
        )  # fmt: skip
        wait_until(self.answers, timeout_s=20, what="PostgreSQL")

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        binary = packages.postgres_binary(program)
        become = descent(self._account, self._data.parent, binary.parent)

        def prepare() -> None:
            if become is not None:
                become()
            set_parent_death_signal(signal.SIGQUIT)

        with self._log.open("ab") as output:
            return subprocess.Popen(
                (str(binary), *arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._data,
                env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
                preexec_fn=prepare,
            )

    def answers(self) -> bool:
        """Whether it takes queries."""
        asked = [str(packages.postgres_binary("pg_isready")), "-h", "127.0.0.1", "-p"]
        quiet = subprocess.run([*asked, str(self.port)], capture_output=True, check=False)
        return quiet.returncode == 0

    def stop(self) -> None:
        """Stop at once, as in a crash of the machine; the data stays."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGCONT)
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=20)
            self._process = None


@contextlib.contextmanager
def postgres(*options: str) -> Iterator[PostgresServer]:
    """A server for the block; `options` are further command line options."""
    folder = Path(tempfile.mkdtemp(prefix="fleetline-postgres-"))
    # The server's account must be able to come here.
    folder.chmod(0o755)
    server = PostgresServer(folder, *options)
    try:
        server.make()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
