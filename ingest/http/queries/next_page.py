"""The Link header that leads from one page of a list to the next."""

from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import falcon.asgi

# Fields of questions whose parameter has another name.
PARAMETERS = {"start": "start_time", "end": "end_time", "simplify_m": "simplify"}


def link_next(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, query: Any, cursor: str | None
) -> None:
    """Add the link, unless there is no `cursor`: then there is no next page."""
    if cursor:
        resp.append_link(f"{req.path}?{asked_again(query, cursor)}", "next")


def asked_again(query: Any, cursor: str) -> str:
    """The query string of a question (a dataclass whose `after` is the cursor's) from there on.

    Times are spelled out: defaults would move on between two pages. Other fields stand in it
    where they say more than their default.
    """
    asked: dict[str, object] = {}
    for field in fields(query):
        value = getattr(query, field.name)
        usual = None if field.default is MISSING else field.default
        if field.name == "after" or value in (None, "", usual):
            continue
        text = value.isoformat() if isinstance(value, datetime) else value
        asked[PARAMETERS.get(field.name, field.name)] = text
    return urlencode({**asked, "cursor": cursor})
