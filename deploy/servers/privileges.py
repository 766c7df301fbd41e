"""How a child becomes an unprivileged account, and the one privilege it may keep.

The interpreter, the checkout and the home may lie where that account may not go (/root is 0700).
The modes of those folders stay as they are: such a child keeps CAP_DAC_READ_SEARCH, which reads and
passes everywhere and writes nowhere. The front door, which talks to strangers, never has it.
"""

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import deploy
from common.errors import ConfigError
from deploy.stack.accounts import SystemUser

# From linux/prctl.h and linux/capability.h.
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_READ_SEARCH = 2
_MASK = 1 << CAP_DAC_READ_SEARCH

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
class Descent:
    """What a child does before exec to become `account`. `closed`: why it keeps reading."""

    account: SystemUser
    # The first path it could not read as it is; None: it keeps nothing.
    closed: Path | None = None

    def __call__(self) -> None:
        """In the child. Allocates little: other threads of a forking parent may hold locks."""
        keep = self.closed is not None
        if keep:
            _check(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
            # access(2), which PostgreSQL asks about its own programs, sets capabilities aside
            # without this bit. Not allowed everywhere; where only the home is closed it works.
            _libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        os.setgroups([])
        os.setresgid(self.account.gid, self.account.gid, self.account.gid)
        os.setresuid(self.account.uid, self.account.uid, self.account.uid)
        # With that bit all capabilities are still here: from now on it is this one, or none.
        sets = (_Sets * 2)(*([_Sets(_MASK, _MASK, _MASK)] if keep else [_Sets()]), _Sets())
        header = _Header(_CAPABILITY_VERSION_3, 0)
        _check(_libc.capset(ctypes.byref(header), sets))
        if keep:
            _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0))
        # No program with a setuid bit gives anything back.
        _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def descent(account: SystemUser | None, home: Path, *paths: Path) -> Descent | None:
    """How a child becomes `account`, passes `home` and reads `paths`; None: we are not root.

    Raises `ConfigError` when it must keep a capability that we do not have.
    """
    if account is None:
        return None
    closed = first_closed(account, home, *paths)
    if closed is not None and not _may_give():
        raise ConfigError(
            f"{closed} cannot be read by uid {account.uid}, which parts of the stack run as, and "
            "this root has no CAP_DAC_READ_SEARCH to give; let others pass there, or do not run "
            "as root"
        )
    return Descent(account, closed)


def first_closed(account: SystemUser, home: Path, *paths: Path) -> Path | None:
    """The first path that is closed to `account`: `home`, which it passes, or one it reads.

    Asked of the kernel, as that user. Of a path with links in it the end is meant.
    """
    groups = os.getgroups()
    gid = os.getegid()
    real = [path.resolve() for path in paths]
    kinds = [os.R_OK | os.X_OK if path.is_dir() else os.R_OK for path in real]
    wanted = [(home, os.X_OK), *zip(real, kinds, strict=True)]
    os.setgroups([])
    os.setegid(account.gid)
    os.seteuid(account.uid)
    try:
        for path, kind in wanted:
            if not os.access(path, kind, effective_ids=True):
                return path
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
    return None


def python_paths() -> tuple[Path, ...]:
    """What a child of ours has to read to run this project: interpreter, packages, code."""
    return (
        Path(sys.executable),
        Path(os.__file__).parent,
        Path(sys.prefix),
        # A package that every part imports, so it stands where the others do.
        Path(ctypes.__file__).parent,
        *(Path(folder) for folder in sys.path if folder.endswith("site-packages")),
        Path(deploy.__file__).parent,
    )


def _may_give() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return bool(int(line.split()[1], 16) & _MASK)
    return False


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "privileges cannot be given up")
