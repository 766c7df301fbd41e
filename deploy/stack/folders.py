"""Folders and files made where others may have laid links: nothing here follows one.

Root makes folders that it hands to unprivileged accounts. What such an account put there, a link
to a file or a folder of root's, must not be what root writes or hands over the next time. So the
parents stay root's, the last name of a path is opened as what it is, and rights are changed on
what was opened.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from common.errors import ConfigError
from deploy.stack.accounts import SystemUser

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_folder(path: Path, mode: int = 0o700, owner: SystemUser | None = None) -> Path:
    """A folder with that mode, of `owner` or else ours, new or not. Raises `OSError`.

    Raises `ConfigError` for a link, and for a folder that belongs to another user.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    with _opened(path) as folder:
        status = os.fstat(folder)
        if owner is None and status.st_uid != os.geteuid():
            raise ConfigError(
                f"{path}: belongs to uid {status.st_uid}; run as that user, or give it to "
                f"uid {os.geteuid()}"
            )
        if owner is not None and (status.st_uid, status.st_gid) != (owner.uid, owner.gid):
            os.fchown(folder, owner.uid, owner.gid)
        if stat.S_IMODE(status.st_mode) != mode:
            os.fchmod(folder, mode)
    return path


def write_file(
    path: Path, content: bytes, mode: int = 0o600, owner: SystemUser | None = None
) -> None:
    """Put a whole file in place of whatever has that name: a link is replaced, not followed."""
    partial = path.with_name(f"{path.name}.new")
    partial.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, 0o600), "wb") as out:
        out.write(content)
        if owner is not None:
            os.fchown(out.fileno(), owner.uid, owner.gid)
        os.fchmod(out.fileno(), mode)
    partial.replace(path)


def read_own(path: Path) -> bytes:
    """A file that this user owns. Raises `ConfigError` for any other, `OSError` if it is not there.

    Never waits, as it would for the writer of a named pipe.
    """
    refuse_link(path)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path}: is no file")
        if status.st_uid != os.geteuid():
            raise ConfigError(f"{path}: belongs to uid {status.st_uid}")
        return file.read()


def refuse_link(path: Path) -> None:
    """Raise `ConfigError` for a link; the parent must be ours, so that none comes later."""
    if path.is_symlink():
        raise ConfigError(f"{path}: is a link, which is not followed here; remove it")


def remove_folder(path: Path) -> None:
    """Remove a folder with all in it, or nothing. Raises `ConfigError` for a link."""
    refuse_link(path)
    if path.exists():
        # `rmtree` works on open folders: a folder that is swapped for a link is not followed.
        shutil.rmtree(path)


def hand_over(path: Path, owner: SystemUser) -> None:
    """Give a folder and all that is in it to `owner`, unless it is that already."""
    with _opened(path) as folder:
        if os.fstat(folder).st_uid == owner.uid:
            return
        # Closed to its owner before, who might change it under our hands.
        os.fchown(folder, 0, 0)
        os.fchmod(folder, 0o700)
        for _, folders, files, parent in os.fwalk(".", dir_fd=folder):
            for name in (*folders, *files):
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                    raise ConfigError(f"{path}: {name} in it has a second name elsewhere")
                os.chown(name, owner.uid, owner.gid, dir_fd=parent, follow_symlinks=False)
        # Last, so that half of it is taken up again.
        os.fchown(folder, owner.uid, owner.gid)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        folder = os.open(path, _FOLDER)
    except OSError:
        refuse_link(path)
        raise
    try:
        yield folder
    finally:
        os.close(folder)
