"""All tables of odd requests, by app."""

from tests.odd import background_geolocation, osmand, overland, owntracks

TABLES = {
    "owntracks": owntracks.ROWS,
    "osmand": osmand.ROWS,
    "overland": overland.ROWS,
    "background-geolocation": background_geolocation.ROWS,
}
