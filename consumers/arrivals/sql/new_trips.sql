-- Trips that ended and were not learned from yet, the newest first. $1: trips that began after it,
-- $2: how many.
SELECT t.driver_id, t.started_at, t.ended_at, t.distance_m
FROM trips AS t
WHERE
    NOT t.open
    AND t.started_at > $1
    AND NOT EXISTS (
        SELECT FROM pace_trips AS p
        WHERE p.driver_id = t.driver_id AND p.started_at = t.started_at
    )
ORDER BY t.started_at DESC
LIMIT $2
