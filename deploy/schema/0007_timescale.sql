-- TimescaleDB as it is best for this table, for databases that are there already too; with plain
-- partitions the same names say the same.

DO $schema$
BEGIN
    IF to_regclass('_timescaledb_catalog.hypertable') IS NOT NULL
        AND (SELECT relkind FROM pg_class WHERE oid = 'locations'::regclass) = 'r' THEN
        -- create_hypertable added it, nothing reads it: an eighth of the table, and of every COPY.
        DROP INDEX IF EXISTS locations_recorded_at_idx;

        -- A chunk may be shorter than a day, or longer (set_chunk_time_interval).
        CREATE OR REPLACE FUNCTION fleetline_history_days() RETURNS SETOF date
        LANGUAGE sql STABLE SET search_path FROM CURRENT AS $body$
            SELECT DISTINCT (moment AT TIME ZONE 'UTC')::date
            FROM timescaledb_information.chunks,
                 generate_series(
                     range_start, range_end - INTERVAL '1 microsecond', INTERVAL '1 day'
                 ) AS moment
            WHERE format('%I.%I', hypertable_schema, hypertable_name)::regclass
                = 'locations'::regclass
            ORDER BY 1
        $body$;
        -- What holds no other day goes; a chunk of several days goes with the last of them.
        CREATE OR REPLACE FUNCTION fleetline_drop_day(day date) RETURNS void
        LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '5s' AS $body$
        DECLARE
            since timestamptz := day::timestamp AT TIME ZONE 'UTC';
            before timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
        BEGIN
            SELECT least(since, min(range_start)) INTO since
            FROM timescaledb_information.chunks
            WHERE format('%I.%I', hypertable_schema, hypertable_name)::regclass
                = 'locations'::regclass
              AND range_end > since AND range_end <= before;
            PERFORM drop_chunks('locations', newer_than => since, older_than => before);
        END
        $body$;
        CREATE FUNCTION fleetline_history_estimate() RETURNS bigint
        LANGUAGE sql STABLE SET search_path FROM CURRENT AS $body$
            SELECT approximate_row_count('locations')
        $body$;
        -- The columnstore takes a chunk this long after its last moment.
        CREATE FUNCTION fleetline_columnstore_after(age interval) RETURNS void
        LANGUAGE plpgsql SET search_path FROM CURRENT AS $body$
        BEGIN
            IF EXISTS (
                SELECT FROM timescaledb_information.jobs
                WHERE proc_name IN ('policy_compression', 'policy_columnstore')
                  AND format('%I.%I', hypertable_schema, hypertable_name)::regclass
                      = 'locations'::regclass
                  AND (config ->> 'compress_after')::interval = age
            ) THEN
                RETURN;
            END IF;
            CALL remove_columnstore_policy('locations', if_exists => true);
            CALL add_columnstore_policy('locations', after => age);
        END
        $body$;
    ELSE
        CREATE FUNCTION fleetline_history_estimate() RETURNS bigint
        LANGUAGE sql STABLE SET search_path FROM CURRENT AS $body$
            SELECT sum(greatest(reltuples, 0))::bigint
            FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'locations'::regclass
        $body$;
        CREATE FUNCTION fleetline_columnstore_after(age interval) RETURNS void
        LANGUAGE sql AS $body$ SELECT $body$;
    END IF;
END
$schema$;
