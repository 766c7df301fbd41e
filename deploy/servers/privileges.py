"""Another user for servers that must not be root, where we are root ourselves.

The virtual environment and the home may lie where that user may not go (/root is 0700). Nobody's
folders are changed for that: the server keeps just the two capabilities that let it pass.
"""

import ctypes
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigError

# First that exists serves; both come with every distribution or with its PostgreSQL.
CANDIDATES = ("postgres", "nobody")

# From linux/prctl.h and linux/capability.h.
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
_PASSING = (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that a server runs as."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """Who servers run as when we are root; None when we are not, and they run as we do."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        f"PostgreSQL does not run as root and there is no user {' or '.join(CANDIDATES)}; "
        "run as another user, or set DATABASE_URL"
    )


def can_reach(account: Account, *paths: Path) -> bool:
    """Whether `account` can pass to each of `paths`: asked of the kernel, as that user."""
    groups = os.getgroups()
    gid = os.getegid()
    os.setgroups([])
    os.setegid(account.gid)
    os.seteuid(account.uid)
    try:
        return all(os.access(path, os.R_OK | os.X_OK, effective_ids=True) for path in paths)
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def become(account: Account | None, *paths: Path) -> Callable[[], None] | None:
    """What a child does before exec to run as `account` and still get to `paths`."""
    if account is None:
        return None
    keep = () if can_reach(account, *paths) else _PASSING
    mask = sum(1 << capability for capability in keep)
    header = _Header(_CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)(_Sets(mask, mask, mask), _Sets(0, 0, 0))

    def drop() -> None:
        if keep:
            _check(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
            # access(2), which PostgreSQL asks about its own programs, sets capabilities aside
            # without this bit. Not allowed everywhere; where only the home is closed it works.
            _libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
        if keep:
            _check(_libc.capset(ctypes.byref(header), sets))
            for capability in keep:
                _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0))

    return drop


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be kept")


def give(account: Account | None, path: Path) -> None:
    """Hand a folder of ours, and only that, to `account`."""
    if account is not None:
        os.chown(path, account.uid, account.gid)
