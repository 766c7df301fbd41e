"""Which process works out arrivals: one of all that run, by a right in Redis that expires.

Two that work for a moment, after a pause of one, say the same twice; customers see no difference.
"""

import asyncio
import socket
from importlib.resources import files
from os import getpid
from secrets import token_hex

from common.keys import ARRIVALS_LEADER
from common.redis.cluster.each_server import ask_each
from common.redis.nodes import Nodes
from common.redis.wire import Wire

# The right is renewed with every look that is due for it; the next process has it so long after
# the last one has died.
RIGHT_TTL_S = 6
RENEW_EVERY_S = 1.5

_LEAD = files(__package__).joinpath("lead.lua").read_text()
_GIVE_BACK = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Lead:
    """Asks for the right, and gives it back."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._name = f"{socket.gethostname()}:{getpid()}:{token_hex(4)}"
        self._until_s = 0.0
        self.is_ours = False
        # Set once it is known whose it is.
        self.asked = asyncio.Event()

    async def ask(self, now_s: float) -> bool:
        """Whether this process works now (`now_s`: monotonic).

        Raises `Overloaded`, `hiredis.ReplyError`. In a cluster the right's server may be away while
        others are not: nobody can take the right then, so whose it is stays as it was.
        """
        if now_s >= self._until_s:
            asked = ("EVAL", _LEAD, 1, ARRIVALS_LEADER, self._name, RIGHT_TTL_S)
            answers = await ask_each(self._nodes, {self._wire: [asked]})
            self._until_s = now_s + RENEW_EVERY_S
            for (answer,) in answers.values():
                self.is_ours = bool(answer)
                self.asked.set()
        return self.is_ours

    @property
    def _wire(self) -> Wire:
        return self._nodes.key_wire(ARRIVALS_LEADER)

    async def give_back(self) -> None:
        """Let the next process begin at once; what another has taken by now stays the other's.

        Raises as `ask`.
        """
        if self.is_ours:
            self.is_ours = False
            await self._wire.send("EVAL", _GIVE_BACK, 1, ARRIVALS_LEADER, self._name)
