-- Rows made or changed, all or none. No row is returned where a limit would be passed.
-- geofence_changes is written first by everybody, so that no two writers wait for each other.
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS g (
        geofence_id text, name text, geometry jsonb, radius_m double precision,
        width_m double precision, vertices integer, drivers text[], dwell_s double precision,
        schedule jsonb, active boolean, expires_at timestamptz
    )
),
more AS (
    SELECT
        count(*) FILTER (WHERE f.geofence_id IS NULL) AS fences,
        sum(given.vertices - coalesce(f.vertices, 0)) AS vertices
    FROM given LEFT JOIN geofences AS f USING (geofence_id)
),
change AS (
    UPDATE geofence_changes AS c SET version = c.version + 1 FROM more
    WHERE (more.fences = 0 OR c.fences + more.fences <= $2)
        AND (more.vertices <= 0 OR c.vertices + more.vertices <= $3)
    RETURNING c.version
)
INSERT INTO geofences (
    geofence_id, name, geometry, radius_m, width_m, vertices, drivers, dwell_s, schedule, active,
    expires_at, created_at, updated_at, version
)
SELECT
    geofence_id, name, geometry, radius_m, width_m, vertices, drivers, dwell_s, schedule, active,
    expires_at, now(), now(), change.version
FROM given, change
ON CONFLICT (geofence_id) DO UPDATE SET
    name = excluded.name,
    geometry = excluded.geometry,
    radius_m = excluded.radius_m,
    width_m = excluded.width_m,
    vertices = excluded.vertices,
    drivers = excluded.drivers,
    dwell_s = excluded.dwell_s,
    schedule = excluded.schedule,
    active = excluded.active,
    expires_at = excluded.expires_at,
    updated_at = excluded.updated_at,
    version = excluded.version
RETURNING {returning}, xmax = 0 AS made
