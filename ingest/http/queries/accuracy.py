"""The query string of the accuracy of arrivals into a typed question. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from common.roads.pace import Method
from ingest.http.queries.query import ParamReader, Params, read_span

METHODS: tuple[str, ...] = get_args(Method)
GROUPS = ("none", "day")


@dataclass(frozen=True, slots=True)
class AccuracyQuery:
    """Orders that arrived in start ≤ time < end; predictions by `method` (None: by any)."""

    start: datetime
    end: datetime
    group: str
    method: str | None
    format: str


def read_accuracy_query(params: Params, now: datetime) -> AccuracyQuery:
    """What is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    start, end = read_span(reader, now)
    group = reader.choice("group", GROUPS, "none")
    method = reader.choice("method", METHODS, "")
    form = reader.choice("format", ("json", "csv"), "json")
    reader.done()
    return AccuracyQuery(start, end, group, method or None, form)
