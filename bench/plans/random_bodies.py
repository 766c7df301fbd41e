"""Plans at random, hostile ones among them: no way, no time, closed windows, one vehicle. Pure."""

import random
from typing import Any

KINDS = ("plain", "no way", "zero time", "closed windows", "one vehicle", "tight")


def random_body(dice: random.Random, kind: str = "plain") -> dict[str, Any]:
    """A plan with a matrix, of some places, vehicles, jobs and shipments; whole seconds or not."""
    side = dice.randint(2, 9)
    body: dict[str, Any] = {
        "matrix": _matrix(dice, side, kind),
        "vehicles": _vehicles(dice, side, kind),
        "jobs": [],
        "shipments": [],
    }
    dimensions = dice.choice((0, 1, 2))
    for n in range(dice.randint(0, 8)):
        body["jobs"].append(_job(dice, f"j{n}", side, dimensions, kind))
    for n in range(dice.randint(0, 5)):
        body["shipments"].append(_shipment(dice, f"s{n}", side, dimensions, kind))
    for vehicle in body["vehicles"]:
        if dimensions and dice.random() < 0.8:
            vehicle["capacity"] = [dice.randint(2, 8) for _ in range(dimensions)]
    _put_aboard(dice, body)
    return body


def _seconds(dice: random.Random, most: float) -> float:
    return dice.choice((dice.randint(0, int(most)), round(dice.uniform(0, most), 3)))


def _matrix(dice: random.Random, side: int, kind: str) -> dict[str, Any]:
    def leg(a: int, b: int) -> float | None:
        if a == b and dice.random() < 0.9:
            return 0
        if kind == "no way" and dice.random() < 0.4:
            return None
        return 0 if kind == "zero time" else _seconds(dice, 900)

    rows = [[leg(a, b) for b in range(side)] for a in range(side)]
    metres = [[None if s is None else round(s * 8.3, 1) for s in row] for row in rows]
    return {"durations_s": rows} | ({"distances_m": metres} if dice.random() < 0.5 else {})


def _vehicles(dice: random.Random, side: int, kind: str) -> list[dict[str, Any]]:
    vehicles: list[dict[str, Any]] = []
    for n in range(1 if kind == "one vehicle" else dice.randint(1, 4)):
        vehicle: dict[str, Any] = {"id": f"v{n}", "start": {"index": dice.randrange(side)}}
        if dice.random() < 0.6:
            vehicle["end"] = {"index": dice.randrange(side)}
        if dice.random() < 0.6:
            begin = _seconds(dice, 2000)
            vehicle["shift"] = [begin, begin + _seconds(dice, 3000 if kind == "tight" else 20_000)]
        if dice.random() < 0.3:
            vehicle["max_jobs"] = dice.randint(0, 6)
        if dice.random() < 0.4:
            vehicle["speed_factor"] = dice.choice((0.5, 0.93, 1.0, 1.3, 2.0))
        if dice.random() < 0.5:
            vehicle["skills"] = dice.sample(("cold", "bike", 7), dice.randint(0, 3))
        vehicles.append(vehicle)
    return vehicles


def _stop(dice: random.Random, side: int, kind: str) -> dict[str, Any]:
    stop: dict[str, Any] = {"at": {"index": dice.randrange(side)}}
    if dice.random() < 0.7:
        stop["service_s"] = _seconds(dice, 300)
    if dice.random() < (0.9 if kind in {"tight", "closed windows"} else 0.4):
        stop["windows"] = []
        for _ in range(dice.randint(1, 3)):
            begin = _seconds(dice, 6000)
            width = 0 if kind == "closed windows" and dice.random() < 0.5 else _seconds(dice, 1500)
            stop["windows"].append([begin, begin + width])
    return stop


def _extras(dice: random.Random) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if dice.random() < 0.3:
        extras["skills"] = [dice.choice(("cold", "bike", 7))]
    if dice.random() < 0.5:
        extras["priority"] = dice.randint(0, 100)
    return extras


def _job(dice: random.Random, name: str, side: int, dimensions: int, kind: str) -> dict[str, Any]:
    job = {"id": name, **_stop(dice, side, kind), **_extras(dice)}
    for part in ("delivery", "pickup"):
        if dimensions and dice.random() < 0.6:
            job[part] = [dice.randint(0, 4) for _ in range(dimensions)]
    return job


def _shipment(
    dice: random.Random, name: str, side: int, dimensions: int, kind: str
) -> dict[str, Any]:
    ends = {part: _stop(dice, side, kind) for part in ("pickup", "delivery")}
    shipment = {"id": name, **ends, **_extras(dice)}
    if dimensions and dice.random() < 0.8:
        shipment["amount"] = [dice.randint(0, 3) for _ in range(dimensions)]
    return shipment


def _put_aboard(dice: random.Random, body: dict[str, Any]) -> None:
    """Some shipments, where their vehicles have room."""
    for shipment in body["shipments"]:
        if dice.random() > 0.3:
            continue
        vehicle = dice.choice(body["vehicles"])
        capacity = vehicle.get("capacity")
        loaded = vehicle.setdefault("aboard", [])
        named = [s for s in body["shipments"] if s["id"] in loaded or s is shipment]
        together = [
            sum(x) for x in zip(*(s["amount"] for s in named if "amount" in s), strict=True)
        ]
        if capacity is None or all(a <= b for a, b in zip(together, capacity, strict=False)):
            loaded.append(shipment["id"])
