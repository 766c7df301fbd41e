"""Roles that `fleetline up` leaves out: switched off, or without the packages that they need."""

from common.log import get
from common.settings import Settings
from consumers.hooks import serve as hooks
from consumers.places import extra as places
from consumers.planner import serve as planner

# Role → the setting that switches it off.
SWITCHES = {
    "insight": "insight",
    "places": "places",
    "hooks": "webhooks",
    "arrivals": "arrivals",
    "planner": "plans",
}


def roles_off(settings: Settings) -> set[str]:
    """Their names. What is only missing a package is said in one line."""
    off = {role for role, switch in SWITCHES.items() if getattr(settings, switch) == "off"}
    lacking = {}
    if not places.available():
        lacking["places"] = places.MISSING
    if not hooks.available():
        lacking["hooks"] = hooks.NOT_INSTALLED
    if not planner.available():
        lacking["planner"] = planner.NOT_INSTALLED
    for role, missing in lacking.items():
        if role not in off:
            get("up").warning("role.off", role=role, detail=missing)
            off.add(role)
    return off
