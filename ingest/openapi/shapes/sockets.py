"""Frames of the sockets that the fan-out serves, as types that the document describes."""

from typing import Literal

import msgspec

from common.event import LocationEvent


class UpdateFrame(msgspec.Struct):
    """The order's newest position."""

    type: Literal["location_update"]
    data: LocationEvent


class PositionsFrame(msgspec.Struct):
    """Drivers that moved inside the box."""

    type: Literal["positions"]
    data: list[LocationEvent]
