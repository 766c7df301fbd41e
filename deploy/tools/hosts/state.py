"""The hosts that share the shards, as Redis knows them now. Reads, and changes two things."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from common.keys import HOSTS, HOSTS_DRAINED, HOSTS_NEWS, HOSTS_SAID
from common.settings import Settings
from consumers.sharing.host import read_terms
from consumers.sharing.membership import NEWS_MAX, SILENT_S
from consumers.sharing.share import HostTerms
from consumers.stream.holder import host_of
from deploy.tools.stack_shards import stack_shards


@dataclass(frozen=True, slots=True)
class HostState:
    """A host. `heard_s`: since it last said that it lives; None: it holds leases and is silent."""

    name: str
    held: tuple[int, ...]
    heard_s: float | None
    terms: HostTerms

    @property
    def state(self) -> str:
        """One word."""
        if self.heard_s is None:
            return "silent"
        return "hands over" if self.terms.drained else "runs"

    def shown(self) -> dict[str, object]:
        """For programs."""
        only = sorted(self.terms.only) if self.terms.only is not None else None
        return {
            "host": self.name,
            "state": self.state,
            "shards": list(self.held),
            "only": only,
            "heard_s": self.heard_s,
        }


@dataclass(frozen=True, slots=True)
class HostsState:
    """All hosts, and the shards that nobody holds."""

    hosts: tuple[HostState, ...]
    unheld: tuple[int, ...]


def read_hosts(client: Any, settings: Settings) -> HostsState:
    """Ask a redis-py client that does not decode. Raises what redis-py raises."""
    shards = stack_shards(client, settings)
    # By way of the key: in a cluster each server has a clock.
    seconds, micros = map(int, client.eval("return redis.call('TIME')", 1, HOSTS))
    now_s = seconds + micros / 1e6
    heard = {
        name.decode("utf-8", "replace"): now_s - at / 1000
        for name, at in client.zrange(HOSTS, 0, -1, withscores=True)
    }
    said, drained = client.hgetall(HOSTS_SAID), client.hgetall(HOSTS_DRAINED)
    held: dict[str, list[int]] = {name: [] for name, at in heard.items() if at < SILENT_S}
    unheld = []
    for shard in shards:
        holder = client.get(shard.keys.consumer)
        if holder is None:
            unheld.append(shard.index)
        else:
            held.setdefault(host_of(holder.decode("utf-8", "replace")), []).append(shard.index)
    hosts = []
    for name, its in sorted(held.items()):
        terms, _ = read_terms(said.get(name.encode(), b""), drained=name.encode() in drained)
        since_s = heard.get(name, SILENT_S)
        lives = since_s < SILENT_S
        hosts.append(HostState(name, tuple(its), max(0.0, since_s) if lives else None, terms))
    return HostsState(tuple(hosts), tuple(unheld))


def set_drained(client: Any, hosts: Iterable[str], *, drained: bool) -> None:
    """Tell hosts to hand over all they have, or that they need not."""
    with client.pipeline(transaction=True) as pipe:
        for name in hosts:
            if drained:
                pipe.hset(HOSTS_DRAINED, name, "1")
            else:
                pipe.hdel(HOSTS_DRAINED, name)
            pipe.xadd(HOSTS_NEWS, {"drained": name}, maxlen=NEWS_MAX)
        pipe.execute()


def ranges(shards: Iterable[int]) -> str:
    """Shards as `--only` takes them: 0,2-4."""
    rest, parts = sorted(shards), []
    while rest:
        run = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(rest, count(rest[0])))))
        last = rest[run - 1]
        parts.append(str(rest[0]) if run == 1 else f"{rest[0]}-{last}")
        rest = rest[run:]
    return ",".join(parts)
