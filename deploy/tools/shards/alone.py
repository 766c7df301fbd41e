"""One `fleetline reshard` at a time.

No step needs it: each is one script that looks before it acts, or may be done twice. But two that
move the same dead letters would leave some twice, and two that show different progress are hard to
read.
"""

import socket
from importlib.resources import files
from typing import Any

from common.errors import FleetlineError
from common.keys import RESHARDER
from common.log import printable
from consumers.stream.holder import Holder

# Of one that was killed on another machine; here it is seen to be dead. More than the longest wait
# for an answer of Redis (`common.redis.client.TIMEOUT_S`).
RIGHT_TTL_MS = 10_000

_ALONE = files(__package__).joinpath("alone.lua").read_text()
_GIVE_BACK = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Alone:
    """The right of this process, which has to be renewed."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._me = Holder.of_this_process()._replace(host=socket.gethostname())
        self._held = False

    def hold(self) -> Holder | None:
        """Take or renew it; None, or who has it. Raises `FleetlineError` if it was lost."""
        holder = self._take()
        if holder is not None and holder.is_dead_beside(self._me):
            holder = self._take(dead=str(holder))
        if holder is not None and self._held:
            raise FleetlineError(f"{named(holder)} goes on with it: this one stood still too long")
        self._held = holder is None
        return holder

    def sees(self, holder: Holder) -> bool:
        """Whether it is a process of this machine: one that has the right is alive then."""
        return (holder.boot, holder.namespace) == (self._me.boot, self._me.namespace)

    def give_back(self) -> None:
        """Let the next begin at once. What another has taken meanwhile stays the other's."""
        if self._held:
            self._held = False
            self._client.eval(_GIVE_BACK, 1, RESHARDER, str(self._me))

    def _take(self, dead: str = "") -> Holder | None:
        asked = (str(self._me), RIGHT_TTL_MS, dead)
        answer = self._client.eval(_ALONE, 1, RESHARDER, *asked).decode("utf-8", "replace")
        # What somebody wrote there by hand counts until it runs out.
        return (Holder.parse(answer) or Holder("", "", 0, "", answer)) if answer else None


def named(holder: Holder) -> str:
    """For people."""
    return f"the `fleetline reshard` with pid {holder.pid} on {printable(holder.host)}"
