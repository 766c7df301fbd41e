"""What a process of the fan-out says of itself: its sockets, and what they are shown."""

from common.metrics.names import fanout as names
from common.metrics.snapshot import Snapshot
from fanout.parts import Fanout


class FanoutNumbers:
    """Gives them; reads, and changes nothing."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        fanout, sessions = self._fanout, self._fanout.sessions
        snapshot.put(names.SOCKETS, len(sessions.open))
        snapshot.put(names.SOCKETS_MAX, fanout.places.limits.process)
        snapshot.put(names.SOCKETS_FULL, len(sessions.full))
        snapshot.put(names.OPERATORS, len(fanout.feed.operators))
        snapshot.put(names.CHANNELS, len(fanout.subscriptions.hub.channels))
        snapshot.put(names.DELIVERING, int(fanout.probe.whole))
        age_s = fanout.probe.age_s
        if age_s is not None:
            snapshot.put(names.PROBE_AGE, round(age_s, 3))
        self._put_counts(snapshot)
        shown = fanout.subscriptions.shown
        snapshot.put(names.FRAMES, shown.frames)
        snapshot.put_histogram(names.FRAME_AGE, shown.ages)

    def _put_counts(self, snapshot: Snapshot) -> None:
        counts, sessions = self._fanout.counts, self._fanout.sessions
        snapshot.put(names.SOCKETS_ACCEPTED, counts.accepted)
        snapshot.put_each(names.HANDSHAKES_REFUSED, counts.refused)
        snapshot.put_each(names.SOCKETS_CLOSED, counts.closes)
        snapshot.put(names.SOCKETS_STALLED, counts.stalled)
        snapshot.put(names.SOCKETS_SILENT, counts.no_pong)
        snapshot.put(names.FRAMES_CONFLATED, counts.conflated + sessions.conflated_in_full)
        snapshot.put(names.PUBSUB_RECONNECTS, counts.reconnects)
        snapshot.put(names.PROBES_MISSED, counts.probes_missed)
        snapshot.put(names.FLEET_DROPPED, counts.fleet_dropped)
