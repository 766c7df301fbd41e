"""`python -m bench.plans FOLDER`: how good plans are, on published instances and at random.

FOLDER holds the instances, see `bench.plans.instances`; none is copied. Every plan goes the way of
a request: it is read, solved in a child and checked.
"""

import asyncio
import random
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from bench.plans.instances import driven, instances, vehicles_used
from bench.plans.random_bodies import KINDS, random_body
from common.contract import Vehicle
from common.plans.messages import LookedUp
from common.roads.engine import RoadEngine
from common.roads.urls import parse_roads_url
from consumers.planner.maker import PlanMaker
from consumers.planner.numbers import PlannerNumbers
from consumers.planner.reading.plan import draft_of, read_plan
from consumers.planner.search import PlanUnmade
from consumers.planner.solving.pool import SolverPool
from consumers.planner.solving.solver import Solver

ORDERS, COURIERS, RESTAURANTS = 100, 30, 20
# Degrees of latitude and longitude around the middle of the city, a town in a valley: 5 km by 2.
CITY = (0.025, 0.012)

console = Console(highlight=False)


class PlannerAtWork:
    """A planner without its door: one solver."""

    def __init__(self, engine: RoadEngine) -> None:
        self._pool = SolverPool([Solver()])
        self._maker = PlanMaker(engine, PlannerNumbers(self._pool))

    async def __aenter__(self) -> "PlannerAtWork":
        self._pool.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    async def plan(self, body: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """The answer, and the seconds it took. Raises `PlanUnmade`."""
        begun_s = time.monotonic()
        read = read_plan(orjson.dumps(body))
        draft = draft_of(read, LookedUp({}, {}), datetime.now(UTC))
        async with self._pool.turn() as solver:
            made = await self._maker.make(draft, read, None, solver)
        return orjson.loads(made), time.monotonic() - begun_s


async def published(planner: PlannerAtWork, folder: Path, limit_s: float) -> list[str]:
    """A table of all instances of the folder."""
    rows = [
        "| instance | vehicles (best) | distance | best known | gap | left over | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    gaps = []
    for instance in track(instances(folder), "instances", console=console):
        answer, took_s = await planner.plan(instance.body | {"limit_s": limit_s})
        distance = driven(instance, answer)
        gap = distance / instance.distance - 1
        gaps.append(gap)
        rows.append(
            f"| {instance.name} | {vehicles_used(answer)} ({instance.vehicles}) | {distance:.1f} "
            f"| {instance.distance:.1f} | {gap:.1%} | {len(answer['unassigned'])} | {took_s:.1f} |"
        )
    rows.append(f"| mean, worst | | | | {statistics.mean(gaps):.1%}, {max(gaps):.1%} | | |")
    return rows


async def at_random(planner: PlannerAtWork, count: int, seed: int) -> str:
    """How many of so many plans were made; each that was made has passed the checker."""
    dice, made, left = random.Random(seed), 0, 0
    refused: list[str] = []
    for n in track(range(count), "at random", console=console):
        kind = KINDS[n % len(KINDS)]
        try:
            answer, _ = await planner.plan(random_body(dice, kind) | {"limit_s": 1})
        except PlanUnmade as e:
            refused.append(f"{kind}: {e}")
            continue
        made += 1
        left += bool(answer["unassigned"])
    told = f"; not made: {refused[:5]}" if refused else ""
    return f"{made} of {count} plans at random were made and checked, {left} left something{told}"


def city(middle: tuple[float, float], vehicle: Vehicle, seed: int) -> dict[str, Any]:
    """Couriers with room for three, and orders from restaurants to customers, within the hour."""
    dice = random.Random(seed)

    def place() -> dict[str, float]:
        north, east = (dice.uniform(-side, side) for side in CITY)
        return {"latitude": middle[0] + north, "longitude": middle[1] + east}

    restaurants = [place() for _ in range(RESTAURANTS)]
    return {
        "vehicles": [{"id": f"v{n}", "start": place(), "capacity": [3]} for n in range(COURIERS)],
        "shipments": [
            {"id": f"s{n}", "amount": 1,
             "pickup": {"at": dice.choice(restaurants), "service_s": 120},
             "delivery": {"at": place(), "service_s": 60}}
            for n in range(ORDERS)
        ],
        "vehicle": vehicle,
    }  # fmt: skip


async def _main(
    folder: Path | None, limit_s: float, count: int, roads_url: str, middle: tuple[float, float]
) -> None:
    engine = RoadEngine(parse_roads_url(roads_url))
    try:
        async with PlannerAtWork(engine) as planner:
            if folder is not None:
                console.print(Markdown("\n".join(await published(planner, folder, limit_s))))
            if count:
                console.print(await at_random(planner, count, seed=1))
            for seed in (1, 2, 3):
                answer, took_s = await planner.plan(city(middle, "car", seed))
                console.print(
                    f"{ORDERS} orders, {COURIERS} couriers by {answer['method']}: {took_s:.2f} s, "
                    f"cost {answer['cost']:.0f} s, {len(answer['unassigned'])} left over"
                )
    finally:
        await engine.close()


def main(
    folder: Annotated[Path | None, typer.Argument(help="Published instances.")] = None,
    *,
    limit_s: Annotated[float, typer.Option(min=1, max=10, help="Of each instance.")] = 10.0,
    count: Annotated[int, typer.Option("--random", min=0, help="Plans at random.")] = 1000,
    roads_url: Annotated[str, typer.Option(help="A road engine, for the city.")] = "",
    middle: Annotated[
        tuple[float, float], typer.Option(help="Latitude and longitude of the city.")
    ] = (47.155, 9.517),
) -> None:
    """Measure plans."""
    asyncio.run(_main(folder, limit_s, count, roads_url, middle))


if __name__ == "__main__":
    typer.run(main)
