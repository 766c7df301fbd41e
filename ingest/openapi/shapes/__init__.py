"""What answers look like: types for the description, which no request pays for.

Answers are written as bytes where they are made. These types say what stands in them, and the
tests hold real answers against the schemas made of them.
"""

from ingest.openapi.shapes import (
    apps,
    arrivals,
    drivers,
    events,
    fences,
    insight,
    orders,
    plans,
    roads,
    room,
    sockets,
    webhooks,
)

# Their types stand in the document whether an operation names them or not.
MODULES = (
    *(drivers, apps, sockets, events, fences, insight, orders, plans, webhooks, arrivals, roads),
    room,
)
