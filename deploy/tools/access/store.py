"""Keys and revocations as they stand in Redis: the writing side of `common.access.watch`.

Every change counts up one number in the same transaction; processes look at that number. Both lists
are bounded, because every process holds them in memory.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from common import keys
from common.access.api_key import KEYS_MAX, KeyRecord, encode_record, new_key, read_records
from common.access.policy import Role
from common.errors import FleetlineError
from common.settings import Settings
from deploy.tools.stack_redis import stack_redis

REVOCATIONS_MAX = 10_000
# No token made here lives longer, so an older revocation ends nothing any more.
TOKEN_TTL_MAX_S = 365 * 86_400


class AccessStore:
    """The lists in one Redis."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def create_key(self, role: Role, name: str, driver_id: str | None) -> tuple[str, str]:
        """Make a key; its id, and its text, which nobody can see again."""
        if self._client.hlen(keys.ACCESS_KEYS) >= KEYS_MAX:
            raise FleetlineError(f"there are {KEYS_MAX} keys; revoke one first")
        key_id, text, record = new_key(role, name, driver_id, time.time())
        self._change("hset", keys.ACCESS_KEYS, key_id, encode_record(record))
        return key_id, text

    def keys(self) -> dict[str, tuple[KeyRecord, float | None]]:
        """Records by id, oldest first, each with the time of its last use."""
        records = read_records(self._client.hgetall(keys.ACCESS_KEYS))
        used = self._client.hgetall(keys.ACCESS_USED)
        ordered = sorted(records.items(), key=lambda item: item[1].created_at)
        return {i: (r, float(used[i.encode()]) if i.encode() in used else None) for i, r in ordered}

    def revoke_key(self, key_id: str) -> bool:
        """End a key; False when there is none with that id."""
        removed = self._change("hdel", keys.ACCESS_KEYS, key_id)
        self._client.hdel(keys.ACCESS_USED, key_id)
        return bool(removed)

    def revoke(self, kind: str, name: str) -> None:
        """End tokens: `jti` the one with that id, `sub` all of that subject up to now."""
        now = time.time()
        revoked = self._client.hgetall(keys.ACCESS_REVOKED)
        old = [field for field, at in revoked.items() if float(at) < now - TOKEN_TTL_MAX_S]
        if old:
            self._client.hdel(keys.ACCESS_REVOKED, *old)
        if len(revoked) - len(old) >= REVOCATIONS_MAX:
            raise FleetlineError(
                f"there are {REVOCATIONS_MAX} revocations; change AUTH_SECRET to end all tokens"
            )
        self._change("hset", keys.ACCESS_REVOKED, f"{kind}:{name}", f"{now:.3f}")

    def _change(self, verb: str, *args: object) -> object:
        with self._client.pipeline(transaction=True) as pipe:
            getattr(pipe, verb)(*args)
            pipe.incr(keys.ACCESS_VERSION)
            return pipe.execute()[0]


@contextlib.contextmanager
def access_store(settings: Settings) -> Iterator[AccessStore]:
    """The store of REDIS_URL, or of the stack in this home. Raises `FleetlineError`."""
    with stack_redis(settings, decode=False) as client:
        yield AccessStore(client)
