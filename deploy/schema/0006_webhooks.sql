-- Webhooks: who wants to be told of which events, and the outbox of what they are told.
-- `consumers.hooks` sends what the outbox holds; `ingest.resources.webhooks` is the API.

CREATE TABLE webhooks (
    -- Names it in the outbox: a webhook that is made again under its old id is another one.
    hook bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id text COLLATE "C" NOT NULL,
    url text NOT NULL,
    -- Types of events.
    events text[] NOT NULL,
    -- Ids, or beginnings of ids that end in *; NULL: any.
    driver_id text COLLATE "C",
    order_id text COLLATE "C",
    geofence_id text COLLATE "C",
    active boolean NOT NULL,
    -- Why it was switched off by itself: 'gone' or 'failing'.
    disabled_reason text,
    disabled_at timestamptz,
    -- The first failure since something was last delivered.
    failing_since timestamptz,
    -- What the secret is computed from (`common.webhooks.secret`), and the one before.
    seed bytea NOT NULL,
    previous_seed bytea,
    previous_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Deleted; the row goes once the sender has removed its deliveries.
    removed_at timestamptz
);
CREATE UNIQUE INDEX webhooks_id ON webhooks (webhook_id) WHERE removed_at IS NULL;

CREATE TABLE webhook_deliveries (
    -- Also the order in which a driver's events are delivered: it follows `events.seq`.
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hook bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    -- Deliveries of one driver wait for each other.
    driver_id text COLLATE "C",
    -- The body, where no row of `events` has it (a test).
    body bytea,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When it is tried next, and until when it is tried at all.
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL DEFAULT clock_timestamp() + interval '24 hours',
    attempts integer NOT NULL DEFAULT 0,
    -- The last attempt: when it ended, how long it took, the status, and what went wrong.
    attempted_at timestamptz,
    took_ms integer,
    status integer,
    error text
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (hook, due_at, delivery_id)
WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_driver ON webhook_deliveries (hook, driver_id, delivery_id)
WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_state ON webhook_deliveries (hook, state, delivery_id);

-- When a sender was last there. Without one for a day nothing more is put into the outbox, which
-- would grow for ever: whoever starts a sender then is told since when.
CREATE TABLE webhook_sender (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    seen_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO webhook_sender DEFAULT VALUES;

-- Whether an id is the one that a filter names, or begins as it says.
CREATE FUNCTION fleetline_fits(filter text, id text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN filter IS NULL OR coalesce(
    CASE
        WHEN right(filter, 1) = '*' THEN starts_with(id, left(filter, -1))
        ELSE id = filter
    END,
    false
);

-- The outbox is filled in the transaction that stores the events: both are there, or neither.
-- Events are stored by one transaction at a time, so the deliveries are in the events' order.
CREATE FUNCTION fleetline_fill_outbox() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $body$
DECLARE
    filled bigint;
BEGIN
    FOR filled IN
        WITH put AS (
            INSERT INTO webhook_deliveries (hook, event_id, type, driver_id)
            SELECT w.hook, e.event_id, e.type, e.driver_id
            FROM webhooks AS w
            CROSS JOIN unnest(w.events) AS asked (type)
            JOIN added AS e USING (type)
            WHERE
                w.active
                AND w.removed_at IS NULL
                AND fleetline_fits(w.driver_id, e.driver_id)
                AND fleetline_fits(w.order_id, e.order_id)
                AND fleetline_fits(w.geofence_id, e.geofence_id)
                AND EXISTS (
                    SELECT FROM webhook_sender WHERE seen_at > now() - interval '24 hours'
                )
            ORDER BY e.seq
            RETURNING hook
        )
        SELECT DISTINCT hook FROM put
    LOOP
        PERFORM pg_notify('fleetline_webhooks', filled::text);
    END LOOP;
    RETURN NULL;
END
$body$;

CREATE TRIGGER events_fill_outbox
AFTER INSERT ON events REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION fleetline_fill_outbox();
