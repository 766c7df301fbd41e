"""Who each part of a stack runs as where `up` is root: no account serves two of them.

They are numbers without a name: a name such as `www-data` or `postgres` has other programs, and
one account's programs can read each other's memory.
"""

import os
import pwd
from dataclasses import dataclass
from typing import Literal

from common.errors import ConfigError

Part = Literal["roles", "redis", "gateway", "postgres"]

# systemd's table of users calls 60706-61183 unused, and no distribution hands them out.
NUMBERS: dict[Part, int] = {"roles": 60801, "redis": 60802, "gateway": 60803, "postgres": 60804}
# Users that come with PostgreSQL or with every distribution.
NAMES = ("postgres", "daemon", "nobody")


@dataclass(frozen=True, slots=True)
class SystemUser:
    """An unprivileged user."""

    name: str
    uid: int
    gid: int


def account_of(part: Part) -> SystemUser | None:
    """Who `part` runs as when we are root; None when we are not, and all runs as we do."""
    if os.geteuid() != 0:
        return None
    return SystemUser(str(NUMBERS[part]), NUMBERS[part], NUMBERS[part])


def named_account() -> SystemUser | None:
    """Likewise for programs that ask who they are: `initdb`, and PostgreSQL without clients.

    Raises `ConfigError` where none of NAMES exists.
    """
    if os.geteuid() != 0:
        return None
    for name in NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return SystemUser(name, entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        f"PostgreSQL is not made as root and there is no user {' or '.join(NAMES)}; "
        "run as another user, or set DATABASE_URL"
    )
