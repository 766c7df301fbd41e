-- Drivers with fixes in [$1, $2), after $3 in order of their ids, $4 at most.
-- One probe of the index for each driver, however many fixes it has.
WITH RECURSIVE names (driver_id) AS (
    (
        SELECT driver_id FROM locations
        WHERE recorded_at >= $1 AND recorded_at < $2 AND driver_id > $3
        ORDER BY driver_id LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT l.driver_id FROM locations l
        WHERE l.recorded_at >= $1 AND l.recorded_at < $2 AND l.driver_id > n.driver_id
        ORDER BY l.driver_id LIMIT 1
    )
    FROM names n WHERE n.driver_id IS NOT NULL
)
SELECT driver_id FROM names WHERE driver_id IS NOT NULL LIMIT $4
