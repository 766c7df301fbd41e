-- What is stored already stays as it is. In key order, so that two writers cannot deadlock.
-- Returns the stored rows that say something else than what came: the same fix with other values.
-- When it was received is no value of a fix: a repeat arrives later than the first.
--
-- Only what was not added is compared. By the index, row for row (that is what OFFSET 0 is for):
-- the planner knows nothing of the staging table, and would read the whole history into a hash.
WITH added AS (
    INSERT INTO locations
    SELECT * FROM locations_stage ORDER BY driver_id, recorded_at
    ON CONFLICT DO NOTHING
    RETURNING driver_id, recorded_at
),
repeated AS MATERIALIZED (
    SELECT * FROM locations_stage AS stage
    WHERE NOT EXISTS (
        SELECT FROM added
        WHERE added.driver_id = stage.driver_id AND added.recorded_at = stage.recorded_at
    )
)
SELECT
    stored.driver_id, stored.recorded_at, stored.received_at,
    stored.latitude, stored.longitude, stored.speed, stored.heading, stored.accuracy,
    stored.altitude, stored.battery, stored.order_id
FROM repeated
CROSS JOIN LATERAL (
    SELECT * FROM locations
    WHERE locations.driver_id = repeated.driver_id
      AND locations.recorded_at = repeated.recorded_at
    OFFSET 0
) AS stored
WHERE (
    stored.latitude, stored.longitude, stored.speed, stored.heading, stored.accuracy,
    stored.altitude, stored.battery, stored.order_id
) IS DISTINCT FROM (
    repeated.latitude, repeated.longitude, repeated.speed, repeated.heading, repeated.accuracy,
    repeated.altitude, repeated.battery, repeated.order_id
)
