"""Checked once before roles start: all servers answer, fit the settings, and write to disk."""

from redis.exceptions import RedisError

from common.databases.seat import Seat, seats
from common.errors import ConfigError, FleetlineError, words_of
from common.redis.meta import carry_over_again, check_meta, durability_warning
from common.settings import Settings
from deploy.schema.columnstore import settle_columnstore
from deploy.schema.migrate import migrate
from deploy.schema.seating import settle_chunk, take_seats


async def preflight(settings: Settings, *, go_on: bool = False) -> None:
    """Migrate, and compare Redis with the settings. Raises `FleetlineError`.

    `go_on`: a database that is away, but for home, is only said: roles that need it wait for it.
    """
    try:
        await check_meta(settings.redis_url, settings.shards, settings.stream_name)
        await carry_over_again(settings.redis_url, settings.shards, settings.stream_name)
        warning = await durability_warning(settings.redis_url)
    except (RedisError, OSError) as e:
        raise FleetlineError(f"REDIS_URL: Redis does not answer: {words_of(e)}") from e
    if warning is not None:
        print(f"warning: {warning}", flush=True)
    await _migrate(settings, go_on=go_on)


async def _migrate(settings: Settings, *, go_on: bool) -> None:
    """All databases that answer; then raise for the first that does not."""
    several = len(settings.databases) > 1
    present: dict[Seat, str] = {}
    failed: FleetlineError | None = None
    for seat, url in zip(seats(len(settings.databases)), settings.databases, strict=True):
        name = f"migrate: {seat}" if several else "migrate"
        try:
            applied = await migrate(url)
        except FleetlineError as e:
            if seat.is_home or isinstance(e, ConfigError):
                raise
            print(f"{name}: {e}; run fleetline migrate when it is back", flush=True)
            failed = failed or e
            continue
        present[seat] = url
        for migration in applied:
            print(f"{name}: applied {migration}", flush=True)
        if not applied:
            print(f"{name}: up to date", flush=True)
    if failed is not None and not go_on:
        raise failed
    await take_seats(present)
    for url in present.values():
        await settle_columnstore(url, settings.event_age_max_s)
        await settle_chunk(url, settings.chunk_hours)
    if several and settings.shards % len(settings.databases):
        print(
            f"warning: SHARDS={settings.shards} is no multiple of {len(settings.databases)} "
            "databases: a shard whose drivers are in several is read once for each",
            flush=True,
        )
