"""The settings of plans."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class PlanSettings(BaseModel):
    """What `Settings` has for plans."""

    # on: plans are made. off: nobody makes them, and POST /api/v1/plans is answered 503.
    plans: Literal["on", "off"] = "on"
    # Address that the planner listens on, for ingest alone; and where ingest finds it.
    planner_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    # Port of the planner.
    planner_port: Annotated[int, Field(ge=1, le=65535)] = 8017
