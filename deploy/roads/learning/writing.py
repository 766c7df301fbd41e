"""Learned speeds on the disk: a file for each hour in which somebody drove, one for the others."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from common.log import get
from deploy.roads.graphs import (
    LEARNED_FILE,
    OTHERS_FILE,
    SPEEDS,
    Graph,
    LearnedFacts,
    write_facts,
)
from deploy.roads.learning.network import UnknownFormat, undriven
from deploy.roads.learning.speeds import Ratios, Speeds, read_speed_lines, speed_lines
from deploy.roads.slots import ANY_HOUR, SLOTS, slot_name
from deploy.stack import folders


def put_speeds(graph: Graph, ratios: Ratios, error_before: float, error_after: float) -> None:
    """Let these be the speeds in use; the engine's role takes them up within seconds."""
    facts = LearnedFacts(
        learned_id=secrets.token_hex(8),
        learned_at=datetime.now(UTC),
        segments=len(ratios.by_segment),
        error_before=error_before,
        error_after=error_after,
        others={
            ANY_HOUR: round(ratios.others(None), 3),
            **{slot_name(slot): round(ratios.others(slot), 3) for slot in range(SLOTS)},
        },
    )
    folder = folders.make_folder(graph.folder / facts.folder)
    for slot in (None, *ratios.slots()):
        name = ANY_HOUR if slot is None else slot_name(slot)
        with (folder / f"{name}.csv").open("w") as file:
            file.writelines(speed_lines(ratios.speeds(slot).kmh))
    try:
        others = undriven(graph.base, ratios.by_segment)
    except UnknownFormat as e:
        # Programs of another release: streets that nobody drove keep the map's speed.
        get("roads").warning("roads.network_unread", error=str(e))
        others = {}
    with (folder / OTHERS_FILE).open("w") as file:
        file.writelines(speed_lines(others))
    write_facts(graph.folder / LEARNED_FILE, facts)
    for old in graph.folder.glob(f"{SPEEDS}-*"):
        if old != folder:
            folders.remove_folder(old)


def speeds_in_use(graph: Graph) -> Callable[[int], Speeds]:
    """The speeds of a slot as the engine has them now."""
    learned = graph.learned()

    def speeds(slot: int) -> Speeds:
        if learned is None:
            return Speeds({})
        for name in (slot_name(slot), ANY_HOUR):
            file = graph.folder / learned.folder / f"{name}.csv"
            if file.is_file():
                with file.open() as lines:
                    return Speeds(read_speed_lines(lines), learned.others.get(name, 1.0))
        return Speeds({})

    return speeds
