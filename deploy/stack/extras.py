"""Roles that `fleetline up` leaves out: switched off, or without the packages that they need."""

from common.log import get
from common.settings import Settings
from consumers.places import extra as places


def roles_off(settings: Settings) -> set[str]:
    """Their names. What is only missing a package is said in one line."""
    off = {name for name in ("insight", "places") if getattr(settings, name) == "off"}
    if "places" not in off and not places.available():
        get("up").warning("places.off", detail=places.MISSING)
        off.add("places")
    return off
