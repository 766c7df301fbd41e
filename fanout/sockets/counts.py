"""What the fan-out counts since it started. Gauges are not here: they are read off the sets."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class FanoutCounts:
    """Plain counters; nobody decrements them."""

    accepted: int = 0
    # Handshakes refused, by HTTP status.
    refused: Counter[int] = field(default_factory=Counter)
    # Close frames sent, by code of ours: never by a code that a client chose.
    closes: Counter[int] = field(default_factory=Counter)
    conflated: int = 0
    stalled: int = 0
    no_pong: int = 0
    reconnects: int = 0
    probes_missed: int = 0
    fleet_dropped: int = 0
