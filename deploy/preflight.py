"""Checked once before roles start: both servers answer, fit the settings, and write to disk."""

from redis.exceptions import RedisError

from common.errors import FleetlineError
from common.redis.meta import carry_over_again, check_meta, durability_warning
from common.settings import Settings
from deploy.schema.columnstore import settle_columnstore
from deploy.schema.migrate import migrate


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
    applied = await migrate(settings.database_url)
    await settle_columnstore(settings.database_url, settings.event_age_max_s)
    for name in applied:
        print(f"migrate: applied {name}", flush=True)
    if not applied:
        print("migrate: up to date", flush=True)
