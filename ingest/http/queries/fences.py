"""Query strings of geofences into typed questions. Pure."""

from dataclasses import dataclass

from common.ids import is_id
from ingest.http.queries.query import ParamReader, Params

# A page of fences; one may have 10,000 vertices, most have a few.
FENCES_PAGE_MAX = 1000
FENCES_PAGE = 100
# A page of drivers inside.
INSIDE_PAGE_MAX = 10_000
INSIDE_PAGE = 1000


@dataclass(frozen=True, slots=True)
class IdPage:
    """Up to `limit` items whose id comes after `after`."""

    after: str
    limit: int
    format: str = "json"


def read_fences_query(params: Params) -> IdPage:
    """The page of fences that is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    form = reader.choice("format", ("json", "geojson"), "json")
    page = _page(reader, FENCES_PAGE, FENCES_PAGE_MAX)
    reader.done()
    return IdPage(*page, form)


def read_inside_query(params: Params) -> IdPage:
    """The page of drivers that is asked for. Raises `InvalidUpdate`."""
    reader = ParamReader(params)
    page = _page(reader, INSIDE_PAGE, INSIDE_PAGE_MAX)
    reader.done()
    return IdPage(*page)


def _page(reader: ParamReader, default: int, most: int) -> tuple[str, int]:
    limit = reader.integer("limit", default, 1, most)
    after = reader.text("cursor")
    if after is not None and not is_id(after):
        reader.fault("cursor", "must be the next_cursor of an earlier answer")
    return after or "", limit
