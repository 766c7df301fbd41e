-- Geofences, and which drivers are in them now. The same with and without TimescaleDB.

CREATE TABLE geofences (
    geofence_id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    -- GeoJSON as it was given: Polygon, MultiPolygon, Point (with radius_m), LineString (width_m).
    geometry jsonb NOT NULL,
    radius_m double precision,
    width_m double precision,
    -- What it weighs in an index: vertices, or the pieces of a corridor.
    vertices integer NOT NULL,
    -- Ids, and prefixes that end in *; NULL: every driver.
    drivers text[],
    dwell_s double precision,
    schedule jsonb,
    active boolean NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- geofence_changes.version as of the last change of this row.
    version bigint NOT NULL
);

-- What all processes that know fences ask for twice a second: one row, which every change counts
-- up. It also keeps the two sums that are bounded: each fence is in the memory of every such
-- process, and the index over them is built in one go.
CREATE TABLE geofence_changes (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL,
    fences integer NOT NULL CONSTRAINT geofences_max CHECK (fences <= 20000),
    vertices integer NOT NULL CONSTRAINT geofence_vertices_max CHECK (vertices <= 2000000)
) WITH (fillfactor = 10);
INSERT INTO geofence_changes (version, fences, vertices) VALUES (0, 0, 0);

CREATE FUNCTION fleetline_fences_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $body$
DECLARE
    more integer := 0;
    vertices_more integer := 0;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        SELECT -count(*), -coalesce(sum(o.vertices), 0) INTO more, vertices_more FROM old_rows AS o;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT more + count(*), vertices_more + coalesce(sum(n.vertices), 0)
        INTO more, vertices_more FROM new_rows AS n;
    END IF;
    IF more <> 0 OR vertices_more <> 0 THEN
        UPDATE geofence_changes AS c
        SET fences = c.fences + more, vertices = c.vertices + vertices_more;
    END IF;
    RETURN NULL;
END
$body$;
CREATE TRIGGER geofences_inserted AFTER INSERT ON geofences
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION fleetline_fences_changed();
CREATE TRIGGER geofences_updated AFTER UPDATE ON geofences
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION fleetline_fences_changed();
CREATE TRIGGER geofences_deleted AFTER DELETE ON geofences
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION fleetline_fences_changed();

-- Drivers that are in a fence, as the places engine has it (`Visit` in `membership.py`).
-- A row outlives its fence until the engine has told of the exit.
CREATE TABLE fence_visits (
    driver_id text COLLATE "C" NOT NULL,
    geofence_id text COLLATE "C" NOT NULL,
    -- Effective time of the first fix inside, and its recorded_at, which names the visit.
    entered_at timestamptz NOT NULL,
    entered_recorded_at timestamptz NOT NULL,
    dwelt boolean NOT NULL,
    -- Fixes in a row that were clear of the fence.
    outside smallint NOT NULL,
    PRIMARY KEY (driver_id, geofence_id)
) WITH (fillfactor = 80);
CREATE INDEX fence_visits_geofence ON fence_visits (geofence_id, driver_id);
