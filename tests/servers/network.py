"""Hosts of their own on this machine, on a network that can be cut: network namespaces. For root.

Each host has a loopback and an address; all are behind one switch. What is cut off hears nothing
more, and nothing tells it so: packets vanish, as where a cable is pulled elsewhere. Nothing is
changed outside: names and addresses exist only inside of the namespaces.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.wait import wait_until

_CLONE_NEWNET = 0x4000_0000
_NAMES = Path("/run/netns")
_libc = ctypes.CDLL(None, use_errno=True)


def unavailable() -> str:
    """Why there can be no network here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "no `ip` (Debian: iproute2)"
    name = f"fleetline-{os.getpid()}-try"
    try:
        _ip("netns", "add", name)
        _ip("netns", "del", name)
    except subprocess.CalledProcessError as e:
        return f"no right to make network namespaces: {e.stderr.strip()}"
    return ""


class Network:
    """`count` hosts, numbered from 1. Use as a context: nothing is left of it, nor on it."""

    def __init__(self, count: int) -> None:
        self.hosts = range(1, count + 1)
        self._stem = f"fleetline-{os.getpid()}-"

    def __enter__(self) -> "Network":
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._remove()

    def _make(self) -> None:
        switch = self._name(0)
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        for host in self.hosts:
            name, port = self._name(host), f"port{host}"
            _ip("netns", "add", name)
            _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "eth0", "netns", name)
            _ip("-n", switch, "link", "set", port, "master", "switch", "up")
            _ip("-n", name, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")

    def _remove(self) -> None:
        for host in self.hosts:
            if (_NAMES / self._name(host)).exists():
                self.kill(host)
        for number in (0, *self.hosts):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("netns", "del", self._name(number))

    def address(self, host: int) -> str:
        """Where the other hosts find it."""
        return f"10.0.0.{host}"

    @contextlib.contextmanager
    def inside(self, host: int) -> Iterator[None]:
        """What this thread opens and starts meanwhile is of that host, and stays so."""
        with Path("/proc/thread-self/ns/net").open() as outside:
            with (_NAMES / self._name(host)).open() as there:
                enter(there.fileno())
            try:
                yield
            finally:
                enter(outside.fileno())

    def cut(self, host: int) -> None:
        """From now on nothing passes between this host and the others."""
        _ip("-n", self._name(0), "link", "set", f"port{host}", "nomaster")

    def heal(self, host: int) -> None:
        """It passes again."""
        _ip("-n", self._name(0), "link", "set", f"port{host}", "master", "switch")

    def pids(self, host: int) -> list[int]:
        """What runs on it."""
        return list(map(int, _ip("netns", "pids", self._name(host)).split()))

    def kill(self, host: int) -> None:
        """As if its plug was pulled: all that runs on it ends at once."""
        for pid in self.pids(host):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.pids(host), what="a host without processes")

    def _name(self, host: int) -> str:
        return f"{self._stem}{host}"


def enter(namespace: int) -> None:
    """What this thread opens from now on is of the network of that descriptor."""
    here = Path("/proc/thread-self/ns/net").stat().st_ino
    # Only root may, and mostly there is nothing to do.
    if os.fstat(namespace).st_ino != here and _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str) -> str:
    """What `ip` says. Raises `CalledProcessError`."""
    asked = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=True)
    return asked.stdout
