"""`fleetline reshard --dry-run`: what there is, and what a change would do. Changes nothing."""

from collections.abc import Iterator, Sequence
from typing import Any

from common.errors import FleetlineError
from common.keys import META
from common.settings import Settings
from common.shards import Shards
from deploy.tools.hosts.state import HostState, read_hosts
from deploy.tools.shards.leaving import entries_in
from deploy.tools.stack_shards import stack_layouts


def outlook(client: Any, settings: Settings, shards: int) -> Iterator[str]:
    """Lines for people. Raises `FleetlineError` when nothing was started, or what redis-py does."""
    if not client.hexists(META, "shards"):
        raise FleetlineError("nothing was ever started on this Redis: set SHARDS")
    layouts = stack_layouts(client, settings)
    now = layouts.now.shards
    if layouts.coming is not None:
        yield f"a change from {now} to {layouts.coming.shards} shards is announced"
        yield f"it goes on with --shards {layouts.coming.shards}; --abort takes it back"
        return
    if layouts.before is not None:
        yield f"a change from {layouts.before.shards} to {now} shards is made"
        yield f"it goes on with --shards {now}"
        return
    if now == shards:
        yield f"there are {shards} shards: nothing would be done"
        return
    written = Shards(settings.stream_name, *layouts.now)
    waiting = entries_in(client, written)
    yield f"from {now} to {shards} shards"
    yield f"entries that would be stored from where they are: {waiting}"
    hosts = read_hosts(client, settings).hosts
    if live := len(_living(hosts)):
        yield f"hosts that would run them: {live}"
    if words := obstacle(hosts, shards):
        yield f"{words}: it would not begin"
    yield "positions would be read in both for as long as LOCATION_TTL of the consumers"


def obstacle(hosts: Sequence[HostState], shards: int) -> str:
    """Why a change to so many shards would not begin; empty where nothing is in its way."""
    filters = [host.terms.only for host in _living(hosts)]
    if not filters:
        return "no host runs consumers"
    able = sum(any(only is None or n in only for only in filters) for n in range(shards))
    return f"{shards - able} shards pass no filter of `--only`" if able < shards else ""


def _living(hosts: Sequence[HostState]) -> list[HostState]:
    return [host for host in hosts if host.heard_s is not None]
