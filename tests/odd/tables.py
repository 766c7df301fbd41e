"""All tables of odd requests, by app."""

import pytest

from tests.odd import background_geolocation, osmand, overland, owntracks

TABLES = {
    "owntracks": owntracks.ROWS,
    "osmand": osmand.ROWS,
    "overland": overland.ROWS,
    "background-geolocation": background_geolocation.ROWS,
}


def numbered(tables):
    """Rows as parameters. Their names hold times of now, which differ from process to process."""
    return [
        pytest.param(name, row, id=f"{name}-{number}")
        for name, rows in tables.items()
        for number, row in enumerate(rows)
    ]
