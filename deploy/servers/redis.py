"""The embedded Redis: a Valkey that never forgets what it acknowledged, and never evicts."""

import os
import signal
from pathlib import Path

from common.processes.policy import RestartPolicy
from common.processes.spec import ChildSpec
from deploy.servers import packages
from deploy.servers.checks import redis_answers
from deploy.servers.privileges import descent
from deploy.stack import folders
from deploy.stack.accounts import SystemUser, account_of
from deploy.stack.environment import plain_environment
from deploy.stack.home import Home

# Half of the memory: a rewrite of the append-only file forks, and pages that change are copied.
MEMORY_SHARE = 0.5
# File of the home with its password.
REDIS_PASSWORD = "redis.password"  # noqa: S105 - a file's name


def redis_spec(home: Home, port: int, password: str) -> ChildSpec:
    """The server on loopback `port`, its data under data/redis."""
    account = account_of("redis")
    data = home.folder("data") / "redis"
    # The folder holds positions and key records, which other users of this machine must not read.
    if account is not None and data.exists():
        folders.hand_over(data, account)
    folders.make_folder(data, 0o700, account)
    binary = packages.redis_binary()
    become = descent(account, home.path, binary, *packages.redis_libraries())
    # A file, since arguments are for everybody on this machine to see. Its account reads it
    # through its group, and cannot change it.
    config = home.folder("data") / "redis.conf"
    readable = SystemUser("", os.geteuid(), account.gid) if account is not None else None
    mode = 0o600 if account is None else 0o640
    folders.write_file(config, _config(port, data, password).encode(), mode, readable)
    return ChildSpec(
        name="redis",
        argv=(str(binary), str(config)),
        env={**plain_environment(os.environ), **packages.redis_environment()},
        inherits_env=False,
        cwd=data,
        log_file=home.log("redis"),
        pid_file=home.pid("redis"),
        ready=lambda: redis_answers(port, password),
        become=become,
        stop_signal=signal.SIGTERM,
        stop_timeout_s=5.0,
        policy=RestartPolicy(halting=frozenset()),
    )


def _config(port: int, data: Path, password: str) -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        # Loopback is no wall between the users of a machine.
        "requirepass": password,
        "dir": quoted(data),
        "daemonize": "no",
        "logfile": '""',
        # The promise: a 202 is on disk. Pipelining makes the fsync a group commit.
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        # Every rewrite forks. The log grows by 1 KB a fix while the data, trimmed, stays small:
        # from the default of 64 MB on it would be rewritten every two seconds at full load.
        # A start may have this much more to read (a second).
        "auto-aof-rewrite-min-size": "256mb",
        "save": '""',
        # Unread fixes are never evicted; XADD is refused instead, which ingest answers with 503.
        "maxmemory-policy": "noeviction",
        "maxmemory": str(int(memory * MEMORY_SHARE)),
        "maxclients": "10000",
        "tcp-keepalive": "60",
        "timeout": "0",
        # A fan-out that reads slowly is cut, and takes snapshots when it is back.
        "client-output-buffer-limit": "pubsub 64mb 32mb 30",
    }
    return "".join(f"{name} {value}\n" for name, value in options.items())


def quoted(path: Path) -> str:
    """A path as its configuration takes it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
