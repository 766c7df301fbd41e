-- Sums of the drivers with fixes in [$1, $2), of ids after $3, $4 at most.
WITH q AS (
    SELECT
        driver_id, sum(fixes)::bigint AS fixes, sum(distance_m) AS distance_m,
        sum(moving_s) AS moving_s, sum(tracked_s) - sum(moving_s) AS stopped_s,
        sum(over_limit_s) AS over_limit_s, max(speed_max) AS speed_max,
        min(first_at) AS first_at, max(last_at) AS last_at
    FROM driver_quarters
    WHERE quarter >= $1 AND quarter < $2 AND driver_id > $3
    GROUP BY driver_id HAVING sum(fixes) > 0
    ORDER BY driver_id LIMIT $4
),
t AS (
    SELECT driver_id, count(*) AS trips FROM trips
    WHERE started_at >= $1 AND started_at < $2 GROUP BY driver_id
),
s AS (
    SELECT driver_id, count(*) AS stops FROM stops
    WHERE started_at >= $1 AND started_at < $2 GROUP BY driver_id
),
-- A driver with fixes in the span has no gap that covers it: gaps end or begin in it.
g AS (
    SELECT
        driver_id,
        sum(extract(epoch FROM least(ended_at, $2) - greatest(started_at, $1)))
            ::double precision AS gap_s
    FROM (
        SELECT * FROM gaps WHERE ended_at > $1 AND ended_at <= $2
        UNION ALL
        SELECT * FROM gaps WHERE started_at >= $1 AND started_at < $2 AND ended_at > $2
    ) AS touching
    GROUP BY driver_id
)
SELECT
    q.*, coalesce(t.trips, 0) AS trips, coalesce(s.stops, 0) AS stops,
    coalesce(g.gap_s, 0) AS gap_s
FROM q
LEFT JOIN t USING (driver_id) LEFT JOIN s USING (driver_id) LEFT JOIN g USING (driver_id)
ORDER BY q.driver_id
