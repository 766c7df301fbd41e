"""Hosts that run consumers: each a supervisor with its family, where root in a PID namespace."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import psutil

from common.processes.process import set_parent_death_signal
from common.redis.client import new_client
from common.settings import Settings
from deploy.tools.hosts.state import HostsState, read_hosts
from deploy.tools.stack_shards import stack_shards
from tests.stack import environment

# Processes of another namespace cannot be seen, as those of another machine.
APART = ("unshare", "-pf", "--kill-child", "--mount-proc") if os.geteuid() == 0 else ()


class ConsumersHost:
    """`fleetline consumers` as one host among several."""

    def __init__(self, extra: Mapping[str, str]) -> None:
        self._outer = subprocess.Popen(
            (*APART, sys.executable, "-m", "deploy.cli", "consumers"),
            env=environment(extra),
            preexec_fn=lambda: set_parent_death_signal(signal.SIGKILL),
        )

    @property
    def supervisor(self) -> psutil.Process:
        """The supervisor, seen from here."""
        outer = psutil.Process(self._outer.pid)
        return outer.children()[0] if APART else outer

    def family(self) -> list[psutil.Process]:
        """The supervisor and all below it."""
        supervisor = self.supervisor
        return [supervisor, *supervisor.children(recursive=True)]

    def send(self, number: int) -> None:
        """Signal the whole host."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """As if its plug was pulled."""
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            self.send(signal.SIGKILL)
        self._outer.kill()
        self._outer.wait()

    def stop(self) -> int:
        """SIGTERM to its supervisor; its exit status."""
        self.supervisor.send_signal(signal.SIGTERM)
        return self._outer.wait(10)


class Hosts:
    """All hosts of a test, on one Redis and one database."""

    def __init__(self, settings: Settings, client: Any, **extra: str) -> None:
        self.settings = settings
        self.environment = {
            "REDIS_URL": settings.redis_url,
            "DATABASE_URL": settings.database_url,
            "SHARDS": str(settings.shards),
            "LOG_LEVEL": "warning",
            "METRICS_PORT": "0",
            **extra,
        }
        self.redis = client
        self._started: list[ConsumersHost] = []

    def start(self, **extra: str) -> ConsumersHost:
        """One more."""
        host = ConsumersHost({**self.environment, **extra})
        self._started.append(host)
        return host

    def close(self) -> None:
        """None is left."""
        for host in self._started:
            host.kill()

    def state(self) -> HostsState:
        """What `fleetline hosts` shows."""
        return read_hosts(self.redis, self.settings)

    def stored(self) -> bool:
        """Whether the history has all that is in the streams."""
        for shard in stack_shards(self.redis, self.settings):
            group = self.settings.consumer_group.encode()
            (facts,) = [g for g in self.redis.xinfo_groups(shard.keys.stream) if g["name"] == group]
            if facts["lag"] or facts["pending"]:
                return False
        return True

    def held(self) -> list[int]:
        """How many shards each living host holds, in order."""
        return sorted(len(h.held) for h in self.state().hosts if h.heard_s is not None)


@contextlib.contextmanager
def hosts_of(settings: Settings, **extra: str) -> Iterator[Hosts]:
    """Hosts for the block."""
    with new_client(settings.redis_url, decode=False) as client:
        hosts = Hosts(settings, client, **extra)
        try:
            yield hosts
        finally:
            hosts.close()
