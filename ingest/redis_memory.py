"""How much memory Redis uses, asked now and then: full, it refuses every fix."""

import hiredis

from common.errors import Overloaded
from common.redis.nodes import Nodes

ASK_EVERY_S = 10.0


class RedisMemory:
    """The fullest server, as it was seen last."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.used_bytes = 0
        # 0: there is no limit.
        self.limit_bytes = 0
        self.seen = False

    @property
    def up(self) -> bool:
        """Whether each connection stands."""
        return all(wire.up for wire in self._nodes.wires)

    async def look(self) -> None:
        """Ask. Raises `Overloaded`. A user who may not ask learns nothing."""
        looks = []
        lost: Overloaded | None = None
        for wire in self._nodes.wires:
            try:
                looks.append(read_memory(await wire.send("INFO", "memory")))
            except hiredis.ReplyError:
                return
            except Overloaded as e:
                # What the others say counts all the same.
                lost = e
        if not looks:
            raise lost or Overloaded("Redis is not reachable")
        self.used_bytes, self.limit_bytes = max(looks, key=_fullness)
        self.seen = True


def read_memory(info: bytes) -> tuple[int, int]:
    """Bytes used and the limit, 0 where there is none, from Redis' INFO."""
    facts = dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)
    return int(facts.get(b"used_memory", 0)), int(facts.get(b"maxmemory", 0))


def _fullness(look: tuple[int, int]) -> tuple[float, int]:
    used, limit = look
    return (used / limit if limit else 0.0, used)
