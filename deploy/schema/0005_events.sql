-- What happened, once each: the feed, the events' socket and the webhooks read it.
-- Written by `common.events.record` alone, one transaction at a time: `seq` is the order of the
-- commits, so it is a cursor that misses nothing.
CREATE TABLE events (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    -- Computed from what happened: the same again is the same row.
    event_id text COLLATE "C" PRIMARY KEY,
    type text COLLATE "C" NOT NULL,
    driver_id text COLLATE "C",
    order_id text COLLATE "C",
    geofence_id text COLLATE "C",
    -- When it was found out, and of the fix that caused it.
    at timestamptz NOT NULL,
    recorded_at timestamptz,
    data jsonb NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX events_seq ON events (seq);
CREATE INDEX events_at ON events (at, seq);
CREATE INDEX events_type ON events (type, seq);
CREATE INDEX events_driver ON events (driver_id, seq) WHERE driver_id IS NOT NULL;
CREATE INDEX events_geofence ON events (geofence_id, seq) WHERE geofence_id IS NOT NULL;
