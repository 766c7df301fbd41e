"""What a backup's folder holds, and its list of contents. The list is written last.

All of it is secret: positions of people, records of API keys, the secret that tokens are signed
with. Nobody but its owner may enter the folder.
"""

import hashlib
import os
import re
from pathlib import Path

import msgspec

from common.errors import ConfigError, FleetlineError
from common.event import MALFORMED

REDIS_FILE = "redis.rdb"
DATABASE_FILE = "database.dump"
# Secrets that stored data is signed or sealed with lie in the home by such names. Passwords of the
# embedded servers (`*.password`) belong to a home, which makes its own.
SECRET_FILES = "*.secret"  # noqa: S105 - names
LIST_FILE = "backup.json"
# Those of several databases behind the first.
_ANOTHER = re.compile(r"database-[0-9]{1,2}\.dump\Z")
_SECRET = re.compile(r"[a-z][a-z_-]*\.secret\Z")
FORMAT = 1
BLOCK = 1 << 20


class Contents(msgspec.Struct, forbid_unknown_fields=True):
    """The list. Everything that was accepted before `began_at` (RFC 3339) is in the backup."""

    fleetline: str
    began_at: str
    ended_at: str
    shards: int
    # Fixes in the copy of the history.
    fixes: int
    # File -> SHA-256.
    files: dict[str, str]
    format: int = FORMAT

    @property
    def databases(self) -> int:
        """How many databases it is of."""
        return sum(name == DATABASE_FILE or bool(_ANOTHER.match(name)) for name in self.files)

    def secrets(self) -> list[str]:
        """Files that a restored home needs under the same names."""
        return [name for name in self.files if _SECRET.match(name)]


def database_file(number: int) -> str:
    """The dump of the database of this number, from 0."""
    return f"database-{number + 1}.dump" if number else DATABASE_FILE


def sha256_of(file: Path) -> str:
    """Hash of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_contents(folder: Path, contents: Contents) -> None:
    """Write the list, all on disk: from then on the folder is a backup."""
    for name in contents.files:
        _sync(folder / name)
    file = folder / LIST_FILE
    file.write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=2) + b"\n")
    _sync(file)
    _sync(folder)


def read_contents(folder: Path) -> Contents:
    """The list of a whole backup. Raises `ConfigError`: it is none, or not as it was written."""
    file = folder / LIST_FILE
    try:
        contents = msgspec.json.decode(file.read_bytes(), type=Contents)
    except OSError as e:
        raise ConfigError(f"{folder}: is no backup: {file.name}: {e.strerror}") from e
    except MALFORMED as e:
        raise ConfigError(f"{file}: {e}") from e
    if contents.format != FORMAT:
        raise ConfigError(f"{file}: format {contents.format}; this Fleetline reads {FORMAT}")
    for name, known in contents.files.items():
        known_name = name in {REDIS_FILE, DATABASE_FILE} or _ANOTHER.match(name)
        if not known_name and not _SECRET.match(name):
            raise ConfigError(f"{file}: {name!r} is no part of a backup")
        try:
            changed = sha256_of(folder / name) != known
        except OSError as e:
            raise ConfigError(f"{folder / name}: {e.strerror}") from e
        if changed:
            raise ConfigError(f"{folder / name}: is not as it was written")
    return contents


def partial_folder(folder: Path) -> Path:
    """Where a backup is put together. Raises `ConfigError` for a folder with something in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is there already, and not empty; name a new folder")
    partial = folder.with_name(f"{folder.name}.part")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)
    except FileExistsError as e:
        raise ConfigError(
            f"{partial}: is left from a backup that was cut off, or one is under way; remove it"
        ) from e
    except OSError as e:
        raise FleetlineError(f"{partial}: {e.strerror}") from e
    return partial


def publish(partial: Path, folder: Path) -> None:
    """Give a whole backup its name."""
    partial.replace(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
