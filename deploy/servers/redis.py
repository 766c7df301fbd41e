"""The embedded Redis: a Valkey that never forgets what it acknowledged, and never evicts.

Or several, a cluster for people to try: three primaries, each with a replica.
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from common.processes.supervision.policy import RestartPolicy
from common.processes.supervision.spec import ChildSpec
from deploy.servers import packages
from deploy.servers.checks import redis_answers
from deploy.servers.cluster_forming import ClusterNode
from deploy.servers.privileges import descent
from deploy.stack import folders
from deploy.stack.accounts import SystemUser, account_of
from deploy.stack.environment import plain_environment
from deploy.stack.home import Home

# Half of the memory: a rewrite of the append-only file forks, and pages that change are copied.
MEMORY_SHARE = 0.5
# File of the home with its password.
REDIS_PASSWORD = "redis.password"  # noqa: S105 - a file's name


# What makes a server a node of a cluster. Where a part of the slots has no server, the others go
# on. A replica that is silent for 10 s counts as gone; by default that is a minute, in which its
# primary would wait for it. Nodes on one machine are stopped together, so none waits ten seconds
# for a replica that goes, too: what was accepted is on its disk.
NODE_OPTIONS = {
    "cluster-enabled": "yes",
    "cluster-config-file": "nodes.conf",
    "cluster-node-timeout": "2000",
    "cluster-require-full-coverage": "no",
    "repl-timeout": "10",
    "repl-ping-replica-period": "2",
    "repl-diskless-sync-delay": "0",
    "shutdown-timeout": "0",
}


def redis_spec(home: Home, port: int, password: str) -> ChildSpec:
    """The server on loopback `port`, its data under data/redis."""
    return _spec(home, "redis", _config(port, password, MEMORY_SHARE), port, password)


def node_specs(home: Home, nodes: Sequence[ClusterNode], password: str) -> list[ChildSpec]:
    """The nodes of a cluster, each with its data under data/redis-N."""
    specs = []
    for number, node in enumerate(nodes, 1):
        options = _config(node.port, password, MEMORY_SHARE / len(nodes))
        options |= NODE_OPTIONS | {"cluster-port": str(node.bus_port), "masterauth": password}
        specs.append(_spec(home, f"redis-{number}", options, node.port, password))
    return specs


def _spec(home: Home, name: str, options: dict[str, str], port: int, password: str) -> ChildSpec:
    account = account_of("redis")
    data = home.folder("data") / name
    # The folder holds positions and key records, which other users of this machine must not read.
    if account is not None and data.exists():
        folders.hand_over(data, account)
    folders.make_folder(data, 0o700, account)
    binary = packages.redis_binary()
    become = descent(account, home.path, binary, *packages.redis_libraries())
    # A file, since arguments are for everybody on this machine to see. Its account reads it
    # through its group, and cannot change it.
    config = home.folder("data") / f"{name}.conf"
    readable = SystemUser("", os.geteuid(), account.gid) if account is not None else None
    mode = 0o600 if account is None else 0o640
    lines = "".join(f"{option} {value}\n" for option, value in options.items())
    text = f"dir {quoted(data)}\n{lines}"
    folders.write_file(config, text.encode(), mode, readable)
    is_node = "cluster-enabled" in options
    return ChildSpec(
        name=name,
        argv=(str(binary), str(config)),
        env={**plain_environment(os.environ), **packages.redis_environment()},
        inherits_env=False,
        cwd=data,
        log_file=home.log(name),
        pid_file=home.pid(name),
        # A node takes no writes before it has met the others.
        ready=lambda: redis_answers(port, password, writes=not is_node),
        become=become,
        stop_signal=signal.SIGTERM,
        stop_timeout_s=5.0,
        policy=RestartPolicy(halting=frozenset()),
    )


def _config(port: int, password: str, memory_share: float) -> dict[str, str]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "bind": "127.0.0.1",
        "port": str(port),
        # Loopback is no wall between the users of a machine.
        "requirepass": password,
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
        "maxmemory": str(int(memory * memory_share)),
        "maxclients": "10000",
        "tcp-keepalive": "60",
        "timeout": "0",
        # A fan-out that reads slowly is cut, and takes snapshots when it is back.
        "client-output-buffer-limit": "pubsub 64mb 32mb 30",
    }


def quoted(path: Path) -> str:
    """A path as its configuration takes it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
