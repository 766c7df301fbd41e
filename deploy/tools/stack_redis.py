"""The Redis that the tools speak to: that of REDIS_URL, or of the stack in FLEETLINE_HOME."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from common.errors import FleetlineError, words_of
from common.processes.supervision.state import read_state, state_file
from common.redis.client import TIMEOUT_S, new_client
from common.settings import Settings
from deploy.stack.home import Home
from deploy.stack.wiring import redis_url


def stack_redis_url(settings: Settings) -> str:
    """REDIS_URL where it is set; else what the last start in this home left, or would use."""
    if settings.given("redis_url"):
        return settings.redis_url
    return Home(settings.fleetline_home).noted().get("redis_url") or redis_url(settings)


@contextmanager
def stack_redis(
    settings: Settings, *, decode: bool = True, timeout_s: float = TIMEOUT_S
) -> Iterator[Any]:
    """A redis-py client for the block.

    Raises `ConfigError` for a wrong URL, and `FleetlineError` when Redis refuses or does not
    answer.
    """
    try:
        with new_client(stack_redis_url(settings), decode=decode, timeout_s=timeout_s) as client:
            yield client
    except redis.exceptions.OutOfMemoryError as e:
        raise FleetlineError("Redis is full") from e
    except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as e:
        raise FleetlineError(
            f"Redis does not answer: {words_of(e)}{unstarted(settings, 'redis_url')}"
        ) from e


def unstarted(settings: Settings, address: str) -> str:
    """Why nothing answers, where `address` is not given: a stack of this machine does not run."""
    home = Home(settings.fleetline_home).path
    if settings.given(address) or read_state(state_file(home, "up")) is not None:
        return ""
    return f"; nothing runs in {home} (fleetline up starts it, FLEETLINE_HOME names another)"
