"""The hosts that share the shards, as Redis knows them now. Reads, and changes two things."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from common.keys import HOSTS, HOSTS_DRAINED, HOSTS_NEWS, HOSTS_SAID
from common.layout import Layouts
from common.settings import Settings
from common.shards import Shards
from consumers.sharing.facts import HostTerms
from consumers.sharing.host import read_terms
from consumers.sharing.membership import HOSTS_MAX, NEWS_MAX, SILENT_S
from consumers.stream.holder import HOLDER_CHARS_MAX, host_of, is_host_name
from deploy.tools.stack_shards import stack_layouts


@dataclass(frozen=True, slots=True)
class HostState:
    """A host. `heard_s`: since it last said that it lives; None: it holds leases and is silent.

    `also`: while the number of shards changes, what it holds of those that come or are left.
    """

    name: str
    held: tuple[int, ...]
    heard_s: float | None
    terms: HostTerms
    also: tuple[int, ...] = ()

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
            **({"also": list(self.also)} if self.also else {}),
        }


@dataclass(frozen=True, slots=True)
class HostsState:
    """All hosts, and the shards that nobody holds. `more`: hosts that are too many to be shown.

    `change`: in words, that the number of shards changes.
    """

    hosts: tuple[HostState, ...]
    unheld: tuple[int, ...]
    more: int = 0
    change: str = ""
    also_unheld: tuple[int, ...] = ()


def read_hosts(client: Any, settings: Settings) -> HostsState:
    """Ask a redis-py client that does not decode. Raises what redis-py raises."""
    layouts = stack_layouts(client, settings)
    # By way of the key: in a cluster each server has a clock.
    seconds, micros = map(int, client.eval("return redis.call('TIME')", 1, HOSTS))
    now_s = seconds + micros / 1e6
    heard = {}
    for raw, at in client.zrange(HOSTS, 0, HOSTS_MAX - 1, desc=True, withscores=True):
        name = raw.decode("utf-8", "replace")
        if is_host_name(name):
            heard[name] = now_s - at / 1000
    held, unheld = _holdings(client, Shards(settings.stream_name, *layouts.now))
    other = layouts.coming or layouts.before
    also, also_unheld = (
        _holdings(client, Shards(settings.stream_name, *other)) if other is not None else ({}, ())
    )
    living = {name for name, at in heard.items() if at < SILENT_S}
    names = sorted({*living, *held, *also})
    said = client.hmget(HOSTS_SAID, names) if names else []
    drained = client.hmget(HOSTS_DRAINED, names) if names else []
    hosts = []
    for name, record, drain in zip(names, said, drained, strict=True):
        terms, _ = read_terms(record or b"", drained=drain is not None)
        since_s = max(0.0, heard[name]) if name in living else None
        hosts.append(HostState(name, held.get(name, ()), since_s, terms, also.get(name, ())))
    more = max(0, client.zcard(HOSTS) - HOSTS_MAX)
    return HostsState(tuple(hosts), unheld, more, _change(layouts), also_unheld)


def _holdings(client: Any, shards: Shards) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """Which of these shards each host holds, and which nobody does."""
    held: dict[str, tuple[int, ...]] = {}
    unheld = []
    for shard in shards:
        holder = client.getrange(shard.keys.consumer, 0, HOLDER_CHARS_MAX)
        if not holder:
            unheld.append(shard.index)
        else:
            name = host_of(holder.decode("utf-8", "replace"))
            held[name] = (*held.get(name, ()), shard.index)
    return held, tuple(unheld)


def _change(layouts: Layouts) -> str:
    if layouts.coming is not None:
        return f"{layouts.coming.shards} shards come"
    return f"{layouts.before.shards} shards are left" if layouts.before is not None else ""


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
