"""Who each part of a stack runs as where `up` is root: no account serves two of them.

Most are numbers without a name: a name such as `www-data` or `nobody` has other programs, and
one account's programs can read each other's memory. PostgreSQL's `initdb` wants a name.
"""

import os
import pwd
from dataclasses import dataclass
from typing import Literal

from common.errors import ConfigError

Part = Literal["roles", "redis", "gateway", "postgres"]

# systemd's table of users calls 60706-61183 unused, and no distribution hands them out.
NUMBERS: dict[Part, int] = {"roles": 60801, "redis": 60802, "gateway": 60803}
# The first that exists serves: its own account, one that nothing runs as, one that may be shared.
POSTGRES_NAMES = ("postgres", "daemon", "nobody")


@dataclass(frozen=True, slots=True)
class SystemUser:
    """An unprivileged user."""

    name: str
    uid: int
    gid: int


def account_of(part: Part) -> SystemUser | None:
    """Who `part` runs as when we are root; None when we are not, and all runs as we do.

    Raises `ConfigError` where PostgreSQL finds nobody.
    """
    if os.geteuid() != 0:
        return None
    if part != "postgres":
        return SystemUser(str(NUMBERS[part]), NUMBERS[part], NUMBERS[part])
    for name in POSTGRES_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return SystemUser(name, entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        f"PostgreSQL does not run as root and there is no user {' or '.join(POSTGRES_NAMES)}; "
        "run as another user, or set DATABASE_URL"
    )
