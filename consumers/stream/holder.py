"""Who holds a lease: one process of one host, told from every other that ever was.

A host is one supervisor of consumers: it gets its name when it starts, and two of them on one
machine are two. The nonce tells a process from an earlier one with the same pid, as containers
have them after each restart.
"""

import os
import re
import secrets
import socket
from pathlib import Path
from typing import NamedTuple, Self

# What a supervisor tells its children of the host that they belong to.
HOST_ENV = "FLEETLINE_CONSUMERS_HOST"
# Of a process that nobody supervises, and of a holder that an older release wrote.
NO_HOST = "-"
# Longest name of a machine.
NAME_MAX = 63
# What `new_host` gives. Who may write to Redis may have written any other name there.
_HOST_NAME = re.compile(r"[A-Za-z0-9.-]{1,70}")
# What `str` of a holder gives is shorter.
HOLDER_CHARS_MAX = 256


class Holder(NamedTuple):
    """A process; `boot` and `namespace` say who can see its pid."""

    boot: str
    namespace: str
    pid: int
    nonce: str
    host: str

    @classmethod
    def of_this_process(cls) -> Self:
        """This process, under a name that nobody had before."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
        host = os.environ.get(HOST_ENV, NO_HOST)
        return cls(boot, namespace, os.getpid(), secrets.token_hex(4), host)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What `str` gave, or an older release wrote, which named no host; None for all else."""
        if len(text) > HOLDER_CHARS_MAX:
            return None
        parts = text.split("/", 4)
        if len(parts) == 3:
            parts += ["", NO_HOST]
        if len(parts) != 5 or not re.fullmatch("[0-9]{1,10}", parts[2]):
            return None
        boot, namespace, pid, nonce, host = parts
        return cls(boot, namespace, int(pid), nonce, host)

    def __str__(self) -> str:
        """One line, as it stands in Redis."""
        return "/".join(map(str, self))

    def is_dead_beside(self, other: Self) -> bool:
        """Whether `other` could see this process, and does not, or has its pid by now."""
        if (self.boot, self.namespace) != (other.boot, other.namespace):
            return False
        if self.pid == other.pid:
            return self != other
        return not Path(f"/proc/{self.pid}").exists()


def host_of(holder: str) -> str:
    """The host that a lease names."""
    found = Holder.parse(holder)
    return found.host if found is not None and is_host_name(found.host) else NO_HOST


def is_host_name(name: str) -> bool:
    """Whether a host can be called so."""
    return _HOST_NAME.fullmatch(name) is not None


def new_host() -> str:
    """A name for the host that starts here: the machine's, and what tells it from others."""
    machine = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:NAME_MAX] or "host"
    return f"{machine}-{secrets.token_hex(3)}"
