"""The settings of arrivals."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class ArrivalSettings(BaseModel):
    """What `Settings` has for arrivals."""

    # on: when orders arrive is followed, and customers are told. off: it is told to who asks.
    arrivals: Literal["on", "off"] = "on"
    # The event order.arriving tells that the driver is at most so many minutes away; 0: that it is
    # at the door.
    arriving_minutes: Annotated[float, Field(ge=0, le=120)] = 5.0
