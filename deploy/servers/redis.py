"""The embedded Redis: a Valkey that never forgets what it acknowledged, and never evicts."""

import os
import signal
from pathlib import Path

from common.processes.policy import RestartPolicy
from common.processes.spec import ChildSpec
from deploy.home import Home
from deploy.servers import packages
from deploy.servers.checks import redis_answers

# Half of the memory: a rewrite of the append-only file forks, and pages that change are copied.
MEMORY_SHARE = 0.5


def redis_spec(home: Home, port: int) -> ChildSpec:
    """The server on loopback `port`, its data under data/redis."""
    data = home.folder("data/redis")
    # Positions and key records: for nobody else on this machine to read.
    data.chmod(0o700)
    return ChildSpec(
        name="redis",
        argv=(str(packages.redis_binary()), *_options(port, data)),
        env=packages.redis_environment(),
        log_file=home.log("redis"),
        pid_file=home.pid("redis"),
        ready=lambda: redis_answers(port),
        stop_signal=signal.SIGTERM,
        stop_timeout_s=5.0,
        policy=RestartPolicy(halting=frozenset()),
    )


def _options(port: int, data: Path) -> list[str]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(data),
        "daemonize": "no",
        "logfile": "",
        # The promise: a 202 is on disk. Pipelining makes the fsync a group commit.
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        # Every rewrite forks. The log grows by 1 KB a fix while the data, trimmed, stays small:
        # from the default of 64 MB on it would be rewritten every two seconds at full load.
        # A start may have this much more to read (a second).
        "auto-aof-rewrite-min-size": "256mb",
        "save": "",
        # Unread fixes are never evicted; XADD is refused instead, which ingest answers with 503.
        "maxmemory-policy": "noeviction",
        "maxmemory": str(int(memory * MEMORY_SHARE)),
        "maxclients": "10000",
        "tcp-keepalive": "60",
        "timeout": "0",
        # A fan-out that reads slowly is cut, and takes snapshots when it is back.
        "client-output-buffer-limit": "pubsub 64mb 32mb 30",
    }
    return [
        part
        for name, value in options.items()
        # The buffer limit is several words; everything else is one value, which may be empty.
        for part in (f"--{name}", *(value.split(" ") if " " in value else [value]))
    ]
