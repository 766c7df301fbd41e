"""The settings of the roads."""

from typing import Annotated

from pydantic import BaseModel, Field


class RoadSettings(BaseModel):
    """What `Settings` has for travel times and ways."""

    # The road engine (OSRM): its URL, or a list by vehicle (car=http://10.0.0.7:5000,bicycle=...).
    # Empty: `fleetline up` runs one of its own where `fleetline roads add` has made a graph.
    roads_url: Annotated[str, Field(repr=False)] = ""
    # Port of the embedded road engine of cars; bicycle and foot have the next two.
    roads_port: Annotated[int, Field(ge=1, le=65_533)] = 8014
