"""Each app's odd requests, translated alone: what is a fix, and what becomes of the rest."""

from typing import Any

import pytest

from common.errors import InvalidUpdate
from ingest.apps.owntracks import basic_user
from ingest.apps.upload import Upload
from tests.odd import KEPT, Odd
from tests.odd.tables import TABLES, numbered
from tests.translated import translated

# Reasons that are found when fixes are dated, which the translation leaves to others.
DATED = {"too_old", "in_the_future", "clock_weeks_off", "clock_not_set"}


@pytest.mark.parametrize(
    ("name", "row"),
    numbered(TABLES),
)
def test_an_odd_request(name: str, row: Odd) -> None:
    user = row.headers.get("x-limit-u") or basic_user(row.headers.get("authorization"))
    upload = Upload(row.content, row.query, row.content_type, user)
    if row.phone == KEPT:
        with pytest.raises(InvalidUpdate) as caught:
            translated(name, upload)
        assert caught.value.status == row.status
        return
    found = translated(name, upload)
    badly_dated = sum(count for reason, count in row.counts.items() if reason in DATED)
    assert len(found.fixes) == len(row.stored) + badly_dated
    assert found.counts == {r: n for r, n in row.counts.items() if r not in DATED}
    if not badly_dated:
        for (driver_id, update), expected in zip(found.fixes, row.stored, strict=True):
            stored: dict[str, Any] = {"driver_id": driver_id}
            stored |= {field: getattr(update, field) for field in update.__struct_fields__}
            if stored["heading"] == 360:
                stored["heading"] = 0
            assert {field: stored[field] for field in expected} == pytest.approx(expected)
