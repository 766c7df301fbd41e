"""Making the embedded database, and closing one that an earlier version left open.

Everything a superuser is needed for is said to `postgres --single`: no client, no port.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from common.errors import FleetlineError
from common.processes import process
from deploy.servers import packages
from deploy.servers.privileges import descent
from deploy.stack import folders
from deploy.stack.accounts import named_account
from deploy.stack.environment import plain_environment
from deploy.stack.home import Home

# File of the home with the password of the role `fleetline`.
POSTGRES_PASSWORD = "postgres.password"  # noqa: S105 - a file's name
_PENDING = "postgres.password.pending"

_MAKE = """\
CREATE ROLE fleetline LOGIN;
CREATE DATABASE fleetline OWNER fleetline;
"""
# Takes back rights that another user may have given the role while the server trusted all.
_CLOSE = """\
ALTER ROLE fleetline NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE fleetline LOGIN PASSWORD '{}';
REVOKE pg_execute_server_program, pg_read_server_files, pg_write_server_files FROM fleetline;
ALTER ROLE postgres PASSWORD NULL;
"""


def make_database(home: Home, data: Path) -> None:
    """initdb and the database, under another name first: half of it is never taken for all.

    It is closed in the same breath: each session of `postgres --single` costs a third of a second.
    """
    partial = data.with_name("postgres.new")
    folders.remove_folder(partial)
    folders.make_folder(partial, 0o700, named_account())
    _call(
        home, partial,
        "initdb", "-D", str(partial), "--username=postgres", "--encoding=UTF8", "--locale=C",
        "--no-instructions", "--auth=reject",
    )  # fmt: skip
    (home.path / POSTGRES_PASSWORD).unlink(missing_ok=True)
    with _new_password(home) as password:
        _say_single(home, partial, _MAKE + _CLOSE.format(password))
        partial.rename(data)


def close_database(home: Home, data: Path) -> None:
    """Give the role a password and no rights beyond its database."""
    maker = named_account()
    if maker is not None:
        folders.hand_over(data, maker)
    with _new_password(home) as password:
        _say_single(home, data, _CLOSE.format(password))


@contextlib.contextmanager
def _new_password(home: Home) -> Iterator[str]:
    """A password, whose file comes last: a start that was cut off in the block does it again."""
    pending = home.path / _PENDING
    pending.unlink(missing_ok=True)
    yield home.secret(_PENDING)
    pending.rename(home.path / POSTGRES_PASSWORD)


def server_environment() -> dict[str, str]:
    """No locale that is not installed, no PGPORT of the user, and nothing that is secret."""
    return {**plain_environment(os.environ), "LC_ALL": "C", "TZ": "UTC", "PGPORT": "5432"}


def _say_single(home: Home, data: Path, text: str) -> None:
    # A statement that fails is not repeated in the log: it may hold the password.
    _call(
        home, data,
        "postgres", "--single", "-D", str(data), "-c", "log_min_error_statement=panic",
        "-c", "log_min_messages=error", "-c", "password_encryption=scram-sha-256",
        "-c", "exit_on_error=on", "postgres",
        text=text,
    )  # fmt: skip


def _call(home: Home, folder: Path, program: str, *arguments: str, text: str = "") -> None:
    binary = packages.postgres_binary(program)
    become = descent(named_account(), home.path, binary.parent)

    def prepare() -> None:
        if become is not None:
            become()
        process.set_parent_death_signal(signal.SIGKILL)

    with home.log("postgres").open("ab") as output:
        result = subprocess.run(
            (str(binary), *arguments),
            input=text.encode(),
            stdout=output,
            stderr=output,
            cwd=folder,
            env=server_environment(),
            preexec_fn=prepare,
            check=False,
        )
        if result.returncode != 0:
            raise FleetlineError(
                f"postgres: {program} failed with {result.returncode}; see {output.name}"
            )
