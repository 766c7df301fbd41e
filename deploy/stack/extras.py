"""Roles that `fleetline up` leaves out: switched off, or without the packages that they need."""

from common.log import get
from common.settings import Settings
from consumers.hooks import extra as hooks
from consumers.places import extra as places


def roles_off(settings: Settings) -> set[str]:
    """Their names. What is only missing a package is said in one line."""
    switches = {"insight": settings.insight, "places": settings.places, "hooks": settings.webhooks}
    off = {name for name, switch in switches.items() if switch == "off"}
    if "places" not in off and not places.available():
        get("up").warning("places.off", detail=places.MISSING)
        off.add("places")
    if "hooks" not in off and not hooks.available():
        get("up").warning("hooks.off", detail=hooks.MISSING)
        off.add("hooks")
    return off
