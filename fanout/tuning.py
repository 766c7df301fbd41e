"""Times and sizes of the fan-out that are no settings.

API.md promises some of them to clients; of the others nobody could say, for one installation,
why another value should be better. Tests shorten them.
"""

from dataclasses import dataclass

from common.contract import REDIS_REPLY_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Tuning:
    """Times in seconds."""

    # Promised. Below the 30 s after which carriers and proxies forget a silent connection.
    ping_interval_s: float = 25.0
    # A phone that wakes its radio needs a few seconds; below the interval, so that one ping at a
    # time is owed.
    pong_timeout_s: float = 8.0
    # Promised: the largest message a client may send. Nothing is expected of it at all.
    inbound_bytes_max: int = 1024
    # A whole head within this time, or 408. The front door sends heads in one piece.
    handshake_timeout_s: float = 5.0
    # Bytes that may wait in the kernel for one socket: about 300 frames, of which a slow link
    # skips most; it bounds the memory that a client which never reads can take.
    outbox_bytes_max: int = 65_536
    # A socket that takes nothing for this long is aborted: longer than a tunnel, shorter than the
    # time in which a client that pinged itself would have given up.
    stall_max_s: float = 20.0
    # A dead Pub/Sub connection is found within two of these.
    probe_interval_s: float = 5.0
    # A reply of Redis that takes longer means a connection that is lost.
    reply_timeout_s: float = REDIS_REPLY_TIMEOUT_S
    # UNSUBSCRIBE waits this long after the last watcher left: a page that is loaded again finds
    # its channel.
    linger_s: float = 1.0
    # A session that nothing could be read for in this time is told to try later: it would look
    # connected, and show a customer that there is no position. Longer than a restart of Redis.
    unread_max_s: float = 10.0

    def __post_init__(self) -> None:
        if self.pong_timeout_s >= self.ping_interval_s:
            raise ValueError("pong_timeout_s must be below ping_interval_s")
