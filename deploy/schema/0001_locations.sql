-- The history: one row a fix, identified by its driver and the device's time.
-- The same table with and without TimescaleDB; only what lies beneath differs.
--
-- COLLATE "C": ids are ASCII, and sorting them must not depend on the server's locale.

DO $schema$
DECLARE
    -- 2.19: below it, INSERT … ON CONFLICT DO NOTHING out of a staging table could lose rows.
    -- The extension can only be made where its library is preloaded, which its settings show.
    has_timescale boolean := EXISTS (
        SELECT FROM pg_available_extensions
        WHERE name = 'timescaledb'
          AND string_to_array(
                  regexp_replace(
                      coalesce(installed_version, default_version), '[^0-9.].*$', ''
                  ), '.'
              )::int[] >= ARRAY[2, 19]
          AND (installed_version IS NOT NULL
               OR EXISTS (SELECT FROM pg_settings WHERE name LIKE 'timescaledb%'))
    );
    columns text := $columns$
        driver_id text COLLATE "C" NOT NULL,
        recorded_at timestamptz NOT NULL,
        received_at timestamptz NOT NULL,
        latitude double precision NOT NULL,
        longitude double precision NOT NULL,
        speed double precision,
        heading double precision,
        accuracy double precision,
        altitude double precision,
        battery double precision,
        order_id text,
        UNIQUE (driver_id, recorded_at)
    $columns$;
BEGIN
    IF has_timescale THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
        -- Its Apache edition has no columnstore: plain partitions are better then.
        has_timescale := current_setting('timescaledb.license') = 'timescale';
    END IF;
    IF has_timescale THEN
        EXECUTE format('CREATE TABLE locations (%s)', columns);
        PERFORM create_hypertable('locations', by_range('recorded_at', INTERVAL '1 day'));
        ALTER TABLE locations SET (
            timescaledb.enable_columnstore = true,
            timescaledb.segmentby = 'driver_id',
            timescaledb.orderby = 'recorded_at'
        );
        -- Until `fleetline migrate` says when the last fix may arrive (EVENT_AGE_MAX_S).
        CALL add_columnstore_policy('locations', after => INTERVAL '32 days');
        CREATE FUNCTION fleetline_ensure_partitions(days date[]) RETURNS void
        LANGUAGE sql AS $body$ SELECT $body$;
    ELSE
        EXECUTE format('CREATE TABLE locations (%s) PARTITION BY RANGE (recorded_at)', columns);
        -- Makes the partitions of these UTC days that do not exist. Several workers may ask at
        -- once: one makes, the others wait, and give up after the lock timeout.
        CREATE FUNCTION fleetline_ensure_partitions(days date[]) RETURNS void
        LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '3s' AS $body$
        DECLARE
            wanted date;
            partition text;
        BEGIN
            FOR wanted IN SELECT DISTINCT unnest(days) ORDER BY 1 LOOP
                partition := 'locations_' || to_char(wanted, 'YYYYMMDD');
                CONTINUE WHEN to_regclass(partition) IS NOT NULL;
                PERFORM pg_advisory_xact_lock(hashtext('fleetline_ensure_partitions'));
                -- Read from the table itself: to_regclass remembers that it found nothing, and
                -- waiting for an advisory lock does not make it forget.
                CONTINUE WHEN EXISTS (
                    SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                    WHERE inhparent = 'locations'::regclass AND relname = partition
                );
                -- Made alone, then attached: that lets COPYs into other days go on, where
                -- CREATE TABLE … PARTITION OF waits for all of them.
                EXECUTE format(
                    'CREATE TABLE %I (LIKE locations INCLUDING ALL)', partition
                );
                EXECUTE format(
                    'ALTER TABLE locations ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    partition,
                    to_char(wanted, 'YYYY-MM-DD') || ' 00:00:00+00',
                    to_char(wanted + 1, 'YYYY-MM-DD') || ' 00:00:00+00'
                );
            END LOOP;
        END
        $body$;
    END IF;
END
$schema$;
