"""Published instances of routing problems as bodies of plans. Pure, but for reading files.

Solomon's 1987 instances of VRPTW (`R101.txt`, best known in `R101.sol`, whose costs are of
distances cut to one decimal, as the DIMACS challenge has them), and those of Li and Lim, 2001, of
pick-up and delivery (`lilim_lc101.txt`, best known in the name `best_lc101.<vehicles>_<distance>`).
"""

from dataclasses import dataclass
from itertools import pairwise
from math import floor, hypot
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Instance:
    """A body, and the best that anybody has found."""

    name: str
    body: dict[str, Any]
    vehicles: int
    distance: float


def instances(folder: Path) -> list[Instance]:
    """All of a folder that have their best known solution beside them."""
    solomon = [_solomon(file) for file in sorted(folder.glob("*.sol"))]
    li_lim = [_li_lim(file, folder) for file in sorted(folder.glob("best_*.txt"))]
    return [*solomon, *li_lim]


def _solomon(solution: Path) -> Instance:
    lines = solution.with_suffix(".txt").read_text().splitlines()
    count, capacity = map(int, lines[4].split())
    rows = [[float(word) for word in line.split()] for line in lines[9:] if line.strip()]
    matrix = _matrix([(row[1], row[2]) for row in rows], decimals=1)
    jobs = [
        {"id": f"c{n}", "at": {"index": n}, "service_s": row[6], "delivery": [int(row[3])],
         "windows": [[row[4], row[5]]]}
        for n, row in enumerate(rows) if n
    ]  # fmt: skip
    best = solution.read_text().splitlines()
    body = {"vehicles": _vehicles(count, capacity, rows[0][5]), "jobs": jobs, "matrix": matrix}
    routes = sum(line.startswith("Route") for line in best)
    return Instance(solution.stem, body, routes, float(best[-1].split()[1]))


def _li_lim(solution: Path, folder: Path) -> Instance:
    name, _, best = solution.stem.removeprefix("best_").partition(".")
    count, _, distance = best.partition("_")
    lines = (folder / f"lilim_{name}.txt").read_text().splitlines()
    capacity = int(lines[0].split()[1])
    rows = [[float(word) for word in line.split()] for line in lines[1:] if line.strip()]
    matrix = _matrix([(row[1], row[2]) for row in rows], decimals=None)

    def end(n: int) -> dict[str, Any]:
        row = rows[n]
        return {"at": {"index": n}, "service_s": row[6], "windows": [[row[4], row[5]]]}

    shipments = [
        {"id": f"s{n}", "pickup": end(n), "delivery": end(int(row[8])), "amount": int(row[3])}
        for n, row in enumerate(rows) if row[3] > 0
    ]  # fmt: skip
    # The best known number of vehicles, and not one more.
    vehicles = _vehicles(int(count), capacity, rows[0][5])
    body = {"vehicles": vehicles, "shipments": shipments, "matrix": matrix}
    return Instance(name, body, int(count), float(distance))


def _vehicles(count: int, capacity: int, closes: float) -> list[dict[str, Any]]:
    depot = {"index": 0}
    return [
        {"id": f"v{n}", "start": depot, "end": depot, "capacity": [capacity], "shift": [0, closes]}
        for n in range(count)
    ]


def _matrix(points: list[tuple[float, float]], decimals: int | None) -> dict[str, Any]:
    def leg(a: tuple[float, float], b: tuple[float, float]) -> float:
        length = hypot(a[0] - b[0], a[1] - b[1])
        return length if decimals is None else floor(length * 10**decimals) / 10**decimals

    rows = [[leg(a, b) for b in points] for a in points]
    return {"durations_s": rows, "distances_m": rows}


def vehicles_used(answer: dict[str, Any]) -> int:
    """How many vehicles a plan needs."""
    return len(answer["routes"])


def driven(instance: Instance, answer: dict[str, Any]) -> float:
    """The length of all routes of a plan, from its stops alone."""
    rows = instance.body["matrix"]["durations_s"]
    total = 0.0
    for route in answer["routes"]:
        places = [stop["at"]["index"] for stop in route["stops"]]
        total += sum(rows[a][b] for a, b in pairwise(places))
    return total
