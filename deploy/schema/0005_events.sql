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

-- Writers of events need not know who reads them: whoever listens is woken by the commit.
CREATE FUNCTION fleetline_events_added() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM pg_notify('fleetline_events', '');
    RETURN NULL;
END
$body$;
CREATE TRIGGER events_added AFTER INSERT ON events
FOR EACH STATEMENT EXECUTE FUNCTION fleetline_events_added();

-- The last trip of each driver that was told of (`consumers.insight.trip_news`).
CREATE TABLE trips_told (
    driver_id text COLLATE "C" PRIMARY KEY,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL
);
-- Some of them end in silence. The columns of this index do not change while a trip goes on.
CREATE INDEX trips_open ON trips (driver_id) WHERE open;

-- The places engine follows orders: it is told which one has changed.
CREATE FUNCTION fleetline_order_changed() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    PERFORM pg_notify('fleetline_orders', NEW.order_id);
    RETURN NULL;
END
$body$;
CREATE TRIGGER orders_added AFTER INSERT ON orders
FOR EACH ROW EXECUTE FUNCTION fleetline_order_changed();
CREATE TRIGGER orders_changed AFTER UPDATE ON orders
FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION fleetline_order_changed();

-- How far events have been published for the events' socket.
CREATE TABLE events_published (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    seq bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO events_published (seq) VALUES (0);

-- The places engine: how far it has read each stream, and what it knows of the drivers there.
-- A snapshot, and what changed since then, a row a turn: `changes` in order of `id` over `state`
-- is what was known at the newest `through`. MessagePack (`consumers.places.snapshot`).
CREATE TABLE places_streams (
    stream text COLLATE "C" PRIMARY KEY,
    through text NOT NULL,
    -- How many entries had been added to the stream by then, as Redis counts them.
    entries bigint NOT NULL,
    state bytea NOT NULL,
    -- Entries that were trimmed before they were read.
    missed bigint NOT NULL DEFAULT 0
);
CREATE TABLE places_changes (
    stream text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    through text NOT NULL,
    entries bigint NOT NULL,
    changes bytea NOT NULL,
    PRIMARY KEY (stream, id)
);
