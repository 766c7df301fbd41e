"""Learned speeds on the disk: a file for each hour in which somebody drove, one for the others."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from deploy.roads.graphs import LEARNED_FILE, SPEEDS, Graph, LearnedFacts, write_facts
from deploy.roads.learning.speeds import (
    Ratios,
    Segment,
    Speeds,
    read_speed_lines,
    speed_lines,
)
from deploy.roads.slots import ANY_HOUR, slot_name
from deploy.stack import folders


def put_speeds(graph: Graph, ratios: Ratios, error_before: float, error_after: float) -> None:
    """Let these be the speeds in use; the engine's role takes them up within seconds."""
    facts = LearnedFacts(
        secrets.token_hex(8),
        datetime.now(UTC),
        len(ratios.by_segment),
        error_before,
        error_after,
    )
    folder = folders.make_folder(graph.folder / facts.folder)
    for slot in (None, *ratios.slots()):
        name = ANY_HOUR if slot is None else slot_name(slot)
        with (folder / f"{name}.csv").open("w") as file:
            file.writelines(speed_lines(ratios.speeds(slot)))
    write_facts(graph.folder / LEARNED_FILE, facts)
    for old in graph.folder.glob(f"{SPEEDS}-*"):
        if old != folder:
            folders.remove_folder(old)


def speeds_in_use(graph: Graph) -> Callable[[int], Speeds]:
    """The speeds of a slot as the engine has them now."""
    learned = graph.learned()

    def speeds(slot: int) -> dict[Segment, float]:
        if learned is None:
            return {}
        for name in (slot_name(slot), ANY_HOUR):
            file = graph.folder / learned.folder / f"{name}.csv"
            if file.is_file():
                with file.open() as lines:
                    return read_speed_lines(lines)
        return {}

    return speeds
