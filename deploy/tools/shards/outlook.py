"""`fleetline reshard --dry-run`: what there is, and what a change would do. Changes nothing."""

from collections.abc import Iterator
from typing import Any

from common.errors import FleetlineError
from common.keys import META
from common.settings import Settings
from common.shards import Shards
from deploy.tools.hosts.state import read_hosts
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
    live = [host for host in read_hosts(client, settings).hosts if host.heard_s is not None]
    if not live:
        yield "no host runs consumers: it would not begin"
    else:
        filters = [host.terms.only for host in live]
        able = sum(any(only is None or n in only for only in filters) for n in range(shards))
        yield f"hosts that would run them: {len(live)}"
        if able < shards:
            yield f"{shards - able} shards pass no filter of `--only`: it would not begin"
    yield "positions would be read in both for as long as LOCATION_TTL of the consumers"
