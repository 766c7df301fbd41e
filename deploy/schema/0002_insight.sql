-- Trips, stops and statistics: what `consumers.insight` computes from `locations`. All of it is a
-- function of the history and of the rules in `insight_settings`, and can be made again
-- (`fleetline insight rebuild`). The same with and without TimescaleDB.

CREATE TABLE stops (
    driver_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    -- The first fix beyond the radius; the last fix of all where a gap followed or it goes on.
    ended_at timestamptz NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    fixes integer NOT NULL,
    -- 'move' or 'gap'; NULL: no later fix is known.
    ended_by text,
    PRIMARY KEY (driver_id, started_at)
) WITH (fillfactor = 80);
CREATE INDEX stops_started_at ON stops (started_at);

CREATE TABLE trips (
    driver_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    start_latitude double precision NOT NULL,
    start_longitude double precision NOT NULL,
    end_latitude double precision NOT NULL,
    end_longitude double precision NOT NULL,
    distance_m double precision NOT NULL,
    moving_s double precision NOT NULL,
    speed_max double precision,
    fixes integer NOT NULL,
    -- No later fix has ended it yet.
    open boolean NOT NULL,
    PRIMARY KEY (driver_id, started_at)
) WITH (fillfactor = 80);
CREATE INDEX trips_started_at ON trips (started_at);

-- Times without a fix for longer than GAP_S, between two fixes.
CREATE TABLE gaps (
    driver_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    PRIMARY KEY (driver_id, started_at)
);
CREATE INDEX gaps_ended_at ON gaps (ended_at);
CREATE INDEX gaps_started_at ON gaps (started_at);

-- Quarters of an hour: hours and days of every time zone are made of whole ones.
CREATE TABLE driver_quarters (
    driver_id text COLLATE "C" NOT NULL,
    quarter timestamptz NOT NULL,
    first_at timestamptz,
    last_at timestamptz,
    fixes integer NOT NULL,
    distance_m double precision NOT NULL,
    -- Time without gaps; what of it is not moving is standing still.
    tracked_s double precision NOT NULL,
    moving_s double precision NOT NULL,
    over_limit_s double precision NOT NULL,
    speed_max double precision,
    PRIMARY KEY (driver_id, quarter)
) WITH (fillfactor = 80);
CREATE INDEX driver_quarters_quarter ON driver_quarters (quarter);

CREATE VIEW driver_hours AS
SELECT
    driver_id,
    date_trunc('hour', quarter) AS hour,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    sum(fixes) AS fixes,
    sum(distance_m) AS distance_m,
    sum(tracked_s) AS tracked_s,
    sum(moving_s) AS moving_s,
    sum(over_limit_s) AS over_limit_s,
    max(speed_max) AS speed_max
FROM driver_quarters
GROUP BY driver_id, date_trunc('hour', quarter);

-- H3 cells of resolution 8. By hour first: a heat map asks for one hour of everybody.
CREATE TABLE driver_cell_hours (
    hour timestamptz NOT NULL,
    driver_id text COLLATE "C" NOT NULL,
    cell bigint NOT NULL,
    fixes integer NOT NULL,
    stops integer NOT NULL,
    distance_m double precision NOT NULL,
    moving_s double precision NOT NULL,
    PRIMARY KEY (hour, driver_id, cell)
) WITH (fillfactor = 80);

-- How far each driver is folded, and the fold's state there. Drivers are divided into shares
-- (CRC-32 of the id), so that several processes can work at once.
CREATE TABLE insight_state (
    driver_id text COLLATE "C" PRIMARY KEY,
    share smallint NOT NULL,
    folded_to timestamptz NOT NULL,
    state bytea NOT NULL
) WITH (fillfactor = 50);

-- What the history says of rows that came late, one row a batch: for each driver the oldest.
-- JSON as bytes, [[driver, …], [epoch second, …]]: the history writes it in passing, and arrays
-- cost it three times as much. Not compressed for the same reason.
CREATE TABLE insight_late (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    marks bytea NOT NULL
);
ALTER TABLE insight_late ALTER COLUMN marks SET STORAGE EXTERNAL;

-- Drivers that are to be folded again, from the last boundary before `since`.
CREATE TABLE insight_repairs (
    driver_id text COLLATE "C" PRIMARY KEY,
    share smallint NOT NULL,
    since timestamptz NOT NULL
);
CREATE INDEX insight_repairs_share ON insight_repairs (share);

-- Up to when all drivers of a share have been folded.
CREATE TABLE insight_shares (
    share smallint PRIMARY KEY,
    swept_to timestamptz NOT NULL
);

CREATE TABLE insight_settings (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    -- The rules that everything was computed by.
    rules text,
    -- Rows were stored by somebody who left no marks (INSIGHT=off): everything is to be redone.
    unmarked boolean NOT NULL DEFAULT false,
    -- Before it fixes were dropped (retention, archive); what was computed from them stays.
    history_from timestamptz NOT NULL DEFAULT 'epoch'
);
INSERT INTO insight_settings DEFAULT VALUES;

DO $schema$
BEGIN
    -- The UTC days that the history holds, oldest first.
    IF to_regclass('_timescaledb_catalog.hypertable') IS NOT NULL
        AND (SELECT relkind FROM pg_class WHERE oid = 'locations'::regclass) = 'r' THEN
        CREATE FUNCTION fleetline_history_days() RETURNS SETOF date
        LANGUAGE sql STABLE AS $body$
            SELECT (range_start AT TIME ZONE 'UTC')::date
            FROM timescaledb_information.chunks
            WHERE hypertable_name = 'locations'
            ORDER BY 1
        $body$;
        CREATE FUNCTION fleetline_drop_day(day date) RETURNS void
        LANGUAGE plpgsql SET lock_timeout = '5s' AS $body$
        BEGIN
            PERFORM drop_chunks(
                'locations',
                newer_than => day::timestamp AT TIME ZONE 'UTC',
                older_than => (day + 1)::timestamp AT TIME ZONE 'UTC'
            );
        END
        $body$;
    ELSE
        CREATE FUNCTION fleetline_history_days() RETURNS SETOF date
        LANGUAGE sql STABLE SET search_path FROM CURRENT AS $body$
            SELECT to_date(right(relname, 8), 'YYYYMMDD')
            FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'locations'::regclass AND relname ~ '^locations_[0-9]{8}$'
            ORDER BY 1
        $body$;
        CREATE FUNCTION fleetline_drop_day(day date) RETURNS void
        LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '5s' AS $body$
        BEGIN
            EXECUTE format('DROP TABLE IF EXISTS %I', 'locations_' || to_char(day, 'YYYYMMDD'));
        END
        $body$;
    END IF;
END
$schema$;
