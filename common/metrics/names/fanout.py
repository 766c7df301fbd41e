"""What the fan-out says: sockets, and what they are shown. Its workers' numbers are added up."""

from common.metrics import buckets
from common.metrics.metric import Merge, counter, gauge, histogram

SOCKETS = gauge("fleetline_sockets", "Open sockets of customers and operators.")
SOCKETS_MAX = gauge(
    "fleetline_sockets_max",
    "Sockets that may be open (FANOUT_CONNECTIONS_MAX, or what the system allows).",
    "`fleetline_sockets` above 90 % of it: soon newcomers are refused (503).",
)
SOCKETS_FULL = gauge(
    "fleetline_sockets_full",
    "Sockets that take nothing more for now; each is shown the newest position once it does.",
    "More than a tenth of all: the network out of here is short.",
)
OPERATORS = gauge("fleetline_operators", "Sockets that watch the fleet; part of all sockets.")
CHANNELS = gauge("fleetline_channels", "Orders that are watched.")
DELIVERING = gauge(
    "fleetline_delivering",
    "1 while what is published is known to arrive, in every worker and from every primary.",
    "0 for more than 15 s: customers see old positions, in a cluster perhaps some of them.",
    merge=Merge.LEAST,
)
PROBE_AGE = gauge(
    "fleetline_probe_age_seconds",
    "Since the last proof that what is published arrives; there is one every 5 s.",
    "Above 15: see `fleetline_delivering`.",
    merge=Merge.MOST,
)
PROBES_MISSED = counter(
    "fleetline_probes_missed_total",
    "Proofs that did not come; the connection to Redis is made anew each time.",
    "It keeps growing.",
)
PUBSUB_RECONNECTS = counter(
    "fleetline_pubsub_reconnects_total",
    "Times that the subscriptions were made anew.",
    "It keeps growing.",
)
SOCKETS_ACCEPTED = counter("fleetline_sockets_accepted_total", "Sockets that were opened.")
HANDSHAKES_REFUSED = counter(
    "fleetline_handshakes_refused_total",
    "Sockets that were not opened, by HTTP status.",
    "503: the fan-out is full. 429: a link that is shared widely, or an attack.",
    ("status",),
)
SOCKETS_CLOSED = counter(
    "fleetline_sockets_closed_total",
    "Close frames of ours by code (API.md): 4000 is an order's end, 4003 a token's.",
    "1013 in numbers: Redis cannot be read. 1008: clients that break the protocol.",
    ("code",),
)
FRAMES = counter(
    "fleetline_frames_total",
    "Positions offered to customers' sockets, one each.",
    "It stands still while `fleetline_live_fixes_total` grows and orders are watched.",
)
FRAMES_CONFLATED = counter(
    "fleetline_frames_conflated_total",
    "Positions that a newer one replaced before a slow socket took them.",
    "More than a tenth of the frames: see `fleetline_sockets_full`.",
)
FRAME_AGE = histogram(
    "fleetline_frame_age_seconds",
    "From a fix's arrival at ingest to its frame being written to sockets, of a sample of them.",
    "The 99th percentile above 0.5 s for minutes.",
    bounds=buckets.FRAME_S,
)
SOCKETS_STALLED = counter(
    "fleetline_sockets_stalled_total", "Sockets ended because they took nothing for 20 s."
)
SOCKETS_SILENT = counter(
    "fleetline_sockets_silent_total", "Sockets ended because they did not answer a ping."
)
FLEET_DROPPED = counter(
    "fleetline_fleet_messages_dropped_total",
    "Messages of the operators' map that were dropped unread; newer ones follow.",
    "It keeps growing: too many different boxes are watched.",
)

METRICS = (
    *(SOCKETS, SOCKETS_MAX, SOCKETS_FULL, OPERATORS, CHANNELS),
    *(DELIVERING, PROBE_AGE, PROBES_MISSED, PUBSUB_RECONNECTS),
    *(SOCKETS_ACCEPTED, HANDSHAKES_REFUSED, SOCKETS_CLOSED, SOCKETS_STALLED, SOCKETS_SILENT),
    *(FRAMES, FRAMES_CONFLATED, FRAME_AGE, FLEET_DROPPED),
)
