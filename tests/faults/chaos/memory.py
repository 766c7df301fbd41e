"""Memory of each role: at the start, at most, and at the end of a round."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from tests.stack import Stack

ROLES = ("gateway", "postgres", "ingest", "consumers", "fanout")


@dataclass(slots=True)
class Memory:
    """Bytes of one role."""

    before: int = 0
    peak: int = 0
    after: int = 0


class Memories:
    """Samples a stack."""

    def __init__(self, stack: Stack, shards: int, servers: Sequence[str]) -> None:
        self._stack = stack
        roles = (*servers, *ROLES, *(f"consumer-{shard}" for shard in range(shards)))
        self.by_role = {role: Memory() for role in roles}

    def sample(self) -> None:
        """Look at all roles that run now."""
        for role, memory in self.by_role.items():
            bytes_now = self._bytes_of(role)
            if bytes_now:
                memory.before = memory.before or bytes_now
                memory.peak = max(memory.peak, bytes_now)
                memory.after = bytes_now

    def _bytes_of(self, role: str) -> int:
        """RSS of all processes of a role, what they share counted once."""
        private = shared = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            pid = self._stack.pid(role)
            if pid is None:
                return 0
            process = psutil.Process(pid)
            # The supervisor's children are roles of their own.
            others = [] if role == "consumers" else process.children(recursive=True)
            for one in (process, *others):
                info = one.memory_info()
                private += info.rss - info.shared
                shared = max(shared, info.shared)
        return private + shared
