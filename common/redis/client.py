"""redis-py, for what is not hot: the look at a start, and the tools. Hot paths have `Wire`.

A command is tried once: redis-py would try ten times, and a lost reply would be a command done
twice. Its wait is limited, because a server may take connections and answer nothing.
"""

from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.errors import ConfigError
from common.redis.url import parse_redis_url

TIMEOUT_S = 5.0


def new_client(url: str, *, decode: bool = True, timeout_s: float = TIMEOUT_S) -> Any:
    """A `redis.Redis`; connects with its first command. Raises `ConfigError`."""
    return _new(redis.Redis, url, Retry(NoBackoff(), 0), decode, timeout_s)


def new_async_client(url: str, *, decode: bool = True, timeout_s: float = TIMEOUT_S) -> Any:
    """A `redis.asyncio.Redis`; connects with its first command. Raises `ConfigError`."""
    return _new(redis.asyncio.Redis, url, AsyncRetry(NoBackoff(), 0), decode, timeout_s)


def _new(kind: Any, url: str, retry: object, decode: bool, timeout_s: float) -> Any:
    # What redis-py says of a wrong URL may hold part of a password; what this says does not.
    parse_redis_url(url)
    try:
        return kind.from_url(
            url,
            decode_responses=decode,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=retry,
        )
    except ValueError:
        raise ConfigError("REDIS_URL: is not a Redis URL") from None
