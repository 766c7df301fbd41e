"""How right the fallback of arrivals is on a recorded trace: `python -m bench.pace` draws it.

Learned from the first 70 % of the trips, asked for every minute of the others: nothing that is
judged was learned from. Beside it stands the straight line at 25 km/h.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from common.roads.pace import Pace
from common.roads.pace_fit import LearnedTrip, TimedPlace, learn, samples_of

ROOT = Path(__file__).parents[1]
TRACE = ROOT / "deploy/examples/liverpool_bus_route14.csv"
PLOT = ROOT / "docs/bench/arrivals.png"
LEARNED_SHARE = 0.7
YARDSTICK_MPS = 25 / 3.6
EVERY_MINUTE = 1_000_000
# Upper edges of the classes of minutes that remained.
EDGES_MIN = (5, 10, 20, 30, 60)


class Prediction(NamedTuple):
    """Seconds: in truth, as said with its interval, and by the straight line."""

    real_s: float
    said_s: float
    low_s: float
    high_s: float
    straight_s: float


class Judgement(NamedTuple):
    """Mean errors in minutes, ours and the straight line's; the share that the interval held."""

    error_min: float
    straight_error_min: float
    coverage: float
    predictions: int


def predictions_of(trips: Sequence[Sequence[TimedPlace]]) -> list[Prediction]:
    """What would have been said on the later trips."""
    in_order = sorted(trips, key=lambda places: places[0][0])
    begun = round(len(in_order) * LEARNED_SHARE)
    pace = Pace(learn(LearnedTrip(samples_of(places)) for places in in_order[:begun]))
    found = []
    for places in in_order[begun:]:
        for sample in samples_of(places, EVERY_MINUTE):
            said = pace.estimate(sample.distance_m, sample.recent_mps)
            straight_s = sample.distance_m / YARDSTICK_MPS
            found.append(Prediction(sample.seconds, *said[:3], straight_s))
    return found


def judge(predictions: Sequence[Prediction]) -> Judgement:
    """How right they were together."""
    count = len(predictions)
    return Judgement(
        sum(abs(p.said_s - p.real_s) for p in predictions) / count / 60,
        sum(abs(p.straight_s - p.real_s) for p in predictions) / count / 60,
        sum(p.low_s <= p.real_s <= p.high_s for p in predictions) / count,
        count,
    )


def by_minutes(predictions: Sequence[Prediction]) -> Mapping[str, Judgement]:
    """The same by the minutes that remained."""
    classes: dict[str, list[Prediction]] = {}
    for since, until in zip((0, *EDGES_MIN), EDGES_MIN, strict=False):
        part = [p for p in predictions if since <= p.real_s / 60 < until]
        if part:
            classes[f"{since}-{until}"] = part
    return {name: judge(part) for name, part in classes.items()}


def read_trips(path: Path, trip: str, columns: tuple[str, str, str]) -> list[list[TimedPlace]]:
    """Trips of a CSV file by the column that names them; columns of time and degrees."""
    found: dict[str, dict[float, TimedPlace]] = defaultdict(dict)
    with path.open() as file:
        for row in csv.DictReader(file):
            time, latitude, longitude = (row[name] for name in columns)
            at = datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp()
            found[row[trip]].setdefault(at, (at, float(latitude), float(longitude)))
    return [[places[at] for at in sorted(places)] for places in found.values()]


def bus() -> list[Prediction]:
    """Of the bus line that comes with the project: 16 runs, 11 of them learned from."""
    return predictions_of(read_trips(TRACE, "trip_id", ("timestamp", "latitude", "longitude")))


def _draw(axes: Any, judged: Mapping[str, Judgement]) -> None:
    names, places = list(judged), range(len(judged))
    ours = [judgement.error_min for judgement in judged.values()]
    straight = [judgement.straight_error_min for judgement in judged.values()]
    bars = (
        ("learned from trips", "#1f6feb", ours, -0.2),
        ("straight line at 25 km/h", "#9aa4b2", straight, 0.2),
    )
    for label, colour, values, shift in bars:
        axes.bar([p + shift for p in places], values, width=0.38, label=label, color=colour)
    for place, judgement in zip(places, judged.values(), strict=True):
        text = f"{judgement.coverage:.0%}\nheld"
        axes.annotate(text, (place - 0.2, judgement.error_min), ha="center", va="bottom", size=8)
    axes.set_xticks(places, [f"{name} min" for name in names])
    axes.set_xlabel("that remained in truth")
    axes.set_ylabel("mean error, minutes")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw it, and say it."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    predictions = bus()
    for name, judgement in {**by_minutes(predictions), "all": judge(predictions)}.items():
        print(f"{name:>6}: {judgement.predictions:4} predictions, off by "
              f"{judgement.error_min:.2f} min, straight line {judgement.straight_error_min:.2f}, "
              f"held {judgement.coverage:.0%}")  # fmt: skip
    canvas, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    _draw(axes, by_minutes(predictions))
    canvas.savefig(PLOT, dpi=110)
    plt.close(canvas)


if __name__ == "__main__":
    main()
