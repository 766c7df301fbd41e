-- Which of how many databases this is (`common.databases.seat`), and how long a partition of the
-- history is. One row.
CREATE TABLE fleetline_database (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    -- From 0, the first being home; NULL: no start has written it yet.
    number smallint,
    databases smallint,
    -- Of the system that it belongs to: the same in all of its databases.
    system uuid,
    chunk_hours smallint NOT NULL DEFAULT 24
);
-- What is there already was stored with this database alone.
INSERT INTO fleetline_database (number, databases)
SELECT CASE WHEN filled THEN 0 END, CASE WHEN filled THEN 1 END
FROM (SELECT EXISTS (SELECT FROM locations) AS filled) AS f;

DO $schema$
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = 'locations'::regclass) = 'r' THEN
        -- Chunks that are made from now on.
        CREATE FUNCTION fleetline_history_chunk(hours integer) RETURNS void
        LANGUAGE plpgsql SET search_path FROM CURRENT AS $body$
        BEGIN
            UPDATE fleetline_database SET chunk_hours = hours WHERE chunk_hours <> hours;
            IF FOUND THEN
                PERFORM set_chunk_time_interval('locations', make_interval(hours => hours));
            END IF;
        END
        $body$;
    ELSE
        -- Partitions of days of which none is there yet.
        CREATE FUNCTION fleetline_history_chunk(hours integer) RETURNS void
        LANGUAGE sql SET search_path FROM CURRENT AS $body$
            UPDATE fleetline_database SET chunk_hours = hours WHERE chunk_hours <> hours
        $body$;
        -- As before, but for the length. The partitions of a day are made together, so that the
        -- first of them says that all are there: locations_20260102, or locations_20260102_00 to
        -- locations_20260102_18 where they are of 6 hours.
        CREATE OR REPLACE FUNCTION fleetline_ensure_partitions(days date[]) RETURNS void
        LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '3s' AS $body$
        DECLARE
            wanted date;
            since timestamp;
            name text;
            partition text;
            hours integer;
        BEGIN
            FOR wanted IN SELECT DISTINCT unnest(days) ORDER BY 1 LOOP
                name := 'locations_' || to_char(wanted, 'YYYYMMDD');
                CONTINUE WHEN coalesce(to_regclass(name), to_regclass(name || '_00')) IS NOT NULL;
                PERFORM pg_advisory_xact_lock(hashtext('fleetline_ensure_partitions'));
                -- Read from the table itself: to_regclass remembers that it found nothing, and
                -- waiting for an advisory lock does not make it forget.
                CONTINUE WHEN EXISTS (
                    SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                    WHERE inhparent = 'locations'::regclass AND relname IN (name, name || '_00')
                );
                SELECT chunk_hours INTO hours FROM fleetline_database;
                FOR since IN
                    SELECT generate_series(
                        wanted::timestamp,
                        wanted + interval '23 hours',
                        make_interval(hours => hours)
                    )
                LOOP
                    partition := name || CASE
                        WHEN hours < 24 THEN to_char(since, '_HH24') ELSE ''
                    END;
                    -- Made alone, then attached: that lets COPYs into other days go on, where
                    -- CREATE TABLE … PARTITION OF waits for all of them.
                    EXECUTE format('CREATE TABLE %I (LIKE locations INCLUDING ALL)', partition);
                    EXECUTE format(
                        'ALTER TABLE locations ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                        partition,
                        to_char(since, 'YYYY-MM-DD HH24:MI:SS') || '+00',
                        to_char(
                            since + make_interval(hours => hours), 'YYYY-MM-DD HH24:MI:SS'
                        ) || '+00'
                    );
                END LOOP;
            END LOOP;
        END
        $body$;
        CREATE OR REPLACE FUNCTION fleetline_history_days() RETURNS SETOF date
        LANGUAGE sql STABLE SET search_path FROM CURRENT AS $body$
            SELECT DISTINCT to_date(substr(relname, 11, 8), 'YYYYMMDD')
            FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'locations'::regclass AND relname ~ '^locations_[0-9]{8}(_[0-9]{2})?$'
            ORDER BY 1
        $body$;
        CREATE OR REPLACE FUNCTION fleetline_drop_day(day date) RETURNS void
        LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '5s' AS $body$
        DECLARE
            partition regclass;
        BEGIN
            FOR partition IN
                SELECT inhrelid::regclass
                FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                WHERE inhparent = 'locations'::regclass
                  AND substr(relname, 1, 18) = 'locations_' || to_char(day, 'YYYYMMDD')
                ORDER BY relname
            LOOP
                EXECUTE format('DROP TABLE %s', partition);
            END LOOP;
        END
        $body$;
    END IF;
END
$schema$;
