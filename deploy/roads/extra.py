"""Whether `fleetline up` runs road engines of its own."""

from common.log import get
from common.settings import Settings
from deploy.roads.executables import MISSING, find_programs
from deploy.roads.graphs import store_of


def roads_off(settings: Settings) -> set[str]:
    """The role's name, unless there is a graph and nobody named another engine.

    A graph without the programs is said in one line.
    """
    if settings.roads_url or not store_of(settings.fleetline_home.absolute()).graphs():
        return {"roads"}
    if find_programs() is None:
        get("up").warning("role.off", role="roads", detail=MISSING)
        return {"roads"}
    return set()
