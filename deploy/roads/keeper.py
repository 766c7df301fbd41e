"""What keeps the engine of one kind of vehicle on its newest graph, with the speeds of the hour.

It looks at the disk every few seconds. `fleetline roads add`, `remove` and `learn` only write
there, so they work whether the engine runs or not, and nothing has to be told.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from common.errors import FleetlineError
from common.log import Repeated, get
from deploy.roads.graphs import LIVE, OTHERS_FILE, Graph
from deploy.roads.metric import HourSpeeds, customize
from deploy.roads.server import RoadServer
from deploy.roads.slots import ANY_HOUR, slot_at, slot_name
from deploy.stack import folders

# Between two looks at the disk.
LOOK_EVERY_S = 2.0
# A process that ended is started again after this at the latest.
WATCH_EVERY_S = 0.1
# A server that does not answer so many questions in a row is ended.
ASK_EVERY_S, SILENCES_MAX = 5.0, 3
# After a graph or its speeds failed, they are tried again: sooner where nothing is served.
RETRY_S, FIRST_RETRY_S = 60.0, 5.0

_log = get("roads")


@dataclass(frozen=True, slots=True)
class Edition:
    """Which graph with which speeds."""

    graph_id: str
    learned_id: str | None = None
    speeds: str | None = None


def wanted(graph: Graph, now_s: float) -> Edition | None:
    """What should be served at a time (epoch seconds); None: there is no graph."""
    facts, learned = graph.facts(), graph.learned()
    if facts is None:
        return None
    if learned is not None:
        for name in (slot_name(slot_at(now_s)), ANY_HOUR):
            if (graph.folder / learned.folder / f"{name}.csv").is_file():
                return Edition(facts.graph_id, learned.learned_id, name)
    return Edition(facts.graph_id)


class EngineKeeper:
    """Keeps one server."""

    def __init__(self, graph: Graph, server: RoadServer) -> None:
        self.graph = graph
        self.server = server
        self.edition: Edition | None = None
        self._failed: tuple[Edition, float] | None = None
        self._trouble = Repeated(_log, "roads.not_served")

    async def look_now(self) -> None:
        """Look at the time that it is."""
        await self.look(time.time())

    async def look(self, now_s: float) -> None:
        """Serve what there is on the disk, if that is something else than what is served."""
        edition = wanted(self.graph, now_s)
        if edition is None:
            if self.server.stem is not None:
                await self.server.stop()
                self.edition = None
                _log.info("roads.removed", vehicle=self.graph.vehicle)
            return
        if edition == self.edition or (
            self._failed is not None
            and self._failed[0] == edition
            and now_s < self._failed[1] + (RETRY_S if self.server.stem else FIRST_RETRY_S)
        ):
            return
        try:
            await self._serve(edition)
        except (FleetlineError, OSError) as e:
            self._failed = edition, now_s
            self._trouble.failed(vehicle=self.graph.vehicle, error=str(e))
            await self._serve_plain(Edition(edition.graph_id))

    async def watch(self) -> None:
        """Start the server again whenever it ends."""
        while True:
            await self.server.watch()
            await asyncio.sleep(WATCH_EVERY_S)

    async def ask(self) -> None:
        """End the server when it has not answered for a while."""
        silences = 0
        while True:
            silences = 0 if await self.server.answers() else silences + 1
            if silences >= SILENCES_MAX:
                self.server.kill()
                silences = 0
            await asyncio.sleep(ASK_EVERY_S)

    async def _serve(self, edition: Edition) -> None:
        folder = None
        stem = self.graph.base
        learned = self.graph.learned()
        if edition.speeds is not None and learned is not None:
            folder = self.graph.folder / f"{LIVE}{secrets.token_hex(4)}"
            files = self.graph.folder / learned.folder
            speeds = HourSpeeds(
                files / f"{edition.speeds}.csv",
                files / OTHERS_FILE,
                learned.others.get(edition.speeds, 1.0),
            )
            try:
                stem = await customize(self.server.site.programs, stem, speeds, folder)
            except BaseException:
                folders.remove_folder(folder)
                raise
        await self.server.serve(stem)
        self.edition, self._failed = edition, None
        self._trouble.healed()
        _log.info(
            "roads.served",
            vehicle=self.graph.vehicle, graph=edition.graph_id, speeds=edition.speeds or "map",
        )  # fmt: skip
        self._forget(folder)

    async def _serve_plain(self, edition: Edition) -> None:
        """The map's own speeds, where there is nothing better and nothing is served."""
        if self.server.stem is not None and (
            self.edition is not None and self.edition.graph_id == edition.graph_id
        ):
            return
        try:
            await self.server.serve(self.graph.base)
            self.edition = edition
        except (FleetlineError, OSError) as e:
            self._trouble.failed(vehicle=self.graph.vehicle, error=str(e))

    def _forget(self, kept: Path | None) -> None:
        """Remove the folders of earlier hours."""
        for folder in self.graph.folder.glob(f"{LIVE}*"):
            if folder != kept:
                folders.remove_folder(folder)
