"""The settings of metrics, logs and traces."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class ObservingSettings(BaseModel):
    """What `Settings` has for whoever watches Fleetline run."""

    # Address of /metrics; wider than loopback, everybody who reaches it reads the numbers.
    metrics_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    # Port of /metrics of a role started alone, and of the first one of `up`; 0: its own, from 8020.
    metrics_port: Annotated[int, Field(ge=0, le=65_500)] = 0
    # json or text: how log lines look; empty: text on a terminal, else JSON.
    log_format: Literal["", "json", "text"] = ""
    # One fix of so many leaves log lines with its times at each stage; 0: none does.
    trace_sample: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
