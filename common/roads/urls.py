"""ROADS_URL: where the road engine of each kind of vehicle is. Pure."""

import re
from collections.abc import Mapping
from typing import get_args

from common.contract import Vehicle

VEHICLES: tuple[Vehicle, ...] = get_args(Vehicle)
# A bare URL is that of the cars.
DEFAULT_VEHICLE: Vehicle = "car"
_URL = re.compile(r"https?://[^\s,/?#]+(/[A-Za-z0-9._~/-]*)?")


def parse_roads_url(setting: str) -> Mapping[Vehicle, str]:
    """URL by vehicle, without a slash at the end. Raises `ValueError`.

    The setting is one URL, or a list as in `car=http://…,bicycle=http://…`.
    """
    urls: dict[Vehicle, str] = {}
    for part in filter(None, map(str.strip, setting.split(","))):
        name, is_named, url = part.partition("=")
        if not is_named:
            name, url = DEFAULT_VEHICLE, part
        vehicle = next((v for v in VEHICLES if v == name.strip()), None)
        if vehicle is None:
            known = ", ".join(VEHICLES)
            raise ValueError(f"ROADS_URL names {name.strip()[:20]!r}, which is none of {known}")
        if not _URL.fullmatch(url.strip()):
            raise ValueError(
                f"ROADS_URL: that of {vehicle} must be http://HOST:PORT or https://…, "
                "without a query"
            )
        if vehicle in urls:
            raise ValueError(f"ROADS_URL names {vehicle} twice")
        urls[vehicle] = url.strip().rstrip("/")
    return urls
