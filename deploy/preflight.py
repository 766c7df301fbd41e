"""Checked once before roles start: all servers answer, fit the settings, and write to disk."""

from redis.exceptions import RedisError

from common.errors import FleetlineError
from common.redis.meta import carry_over_again, check_meta, durability_warning
from common.settings import Settings
from deploy.schema.columnstore import settle_columnstore
from deploy.schema.migrate import migrate
from deploy.schema.seating import settle_chunk, take_seats


async def preflight(settings: Settings) -> None:
    """Migrate, and compare Redis with the settings. Raises `FleetlineError`."""
    try:
        await check_meta(settings.redis_url, settings.shards, settings.stream_name)
        await carry_over_again(settings.redis_url, settings.shards, settings.stream_name)
        warning = await durability_warning(settings.redis_url)
    except (RedisError, OSError) as e:
        raise FleetlineError(f"REDIS_URL: Redis does not answer: {e or type(e).__name__}") from e
    if warning is not None:
        print(f"warning: {warning}", flush=True)
    await _migrate(settings)


async def _migrate(settings: Settings) -> None:
    """All databases that answer; then raise for the first that does not."""
    several = len(settings.databases) > 1
    failed: FleetlineError | None = None
    for number, url in enumerate(settings.databases, 1):
        name = f"migrate: database {number}" if several else "migrate"
        try:
            applied = await migrate(url)
        except FleetlineError as e:
            if not several:
                raise
            print(f"{name}: {e}", flush=True)
            failed = failed or e
            continue
        for migration in applied:
            print(f"{name}: applied {migration}", flush=True)
        if not applied:
            print(f"{name}: up to date", flush=True)
    if failed is not None:
        raise failed
    await take_seats(settings.databases)
    for url in settings.databases:
        await settle_columnstore(url, settings.event_age_max_s)
        await settle_chunk(url, settings.chunk_hours)
    if several and settings.shards % len(settings.databases):
        print(
            f"warning: SHARDS={settings.shards} is no multiple of {len(settings.databases)} "
            "databases: a shard whose drivers are in several is read once for each",
            flush=True,
        )
