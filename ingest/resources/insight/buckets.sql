-- Sums of driver $1 by hour or day ($4) of a time zone ($5), in [$2, $3), oldest first.
WITH edges AS (
    SELECT at FROM (
        SELECT generate_series(
            date_trunc('hour', $2::timestamptz, $5), $3::timestamptz, interval '1 hour'
        ) AS at WHERE $4 = 'hour'
        UNION ALL
        SELECT day AT TIME ZONE $5 FROM generate_series(
            date_trunc('day', $2::timestamptz AT TIME ZONE $5),
            $3::timestamptz AT TIME ZONE $5, interval '1 day'
        ) AS day WHERE $4 = 'day'
        UNION ALL
        SELECT $2 WHERE $4 = ''
    ) AS e WHERE at < $3
),
buckets AS (
    SELECT
        greatest(at, $2) AS starts,
        least(coalesce(lead(at) OVER (ORDER BY at), $3), $3) AS ends
    FROM edges
)
SELECT b.starts, b.ends, q.*, t.trips, s.stops, coalesce(g.gap_s, 0) AS gap_s
FROM buckets b
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(fixes), 0)::bigint AS fixes, coalesce(sum(distance_m), 0) AS distance_m,
        coalesce(sum(moving_s), 0) AS moving_s,
        coalesce(sum(tracked_s) - sum(moving_s), 0) AS stopped_s,
        coalesce(sum(over_limit_s), 0) AS over_limit_s, max(speed_max) AS speed_max,
        min(first_at) AS first_at, max(last_at) AS last_at
    FROM driver_quarters
    WHERE driver_id = $1 AND quarter >= b.starts AND quarter < b.ends
) AS q
CROSS JOIN LATERAL (
    SELECT count(*) AS trips FROM trips
    WHERE driver_id = $1 AND started_at >= b.starts AND started_at < b.ends
) AS t
CROSS JOIN LATERAL (
    SELECT count(*) AS stops FROM stops
    WHERE driver_id = $1 AND started_at >= b.starts AND started_at < b.ends
) AS s
CROSS JOIN LATERAL (
    SELECT
        sum(extract(epoch FROM least(ended_at, b.ends) - greatest(started_at, b.starts)))
            ::double precision AS gap_s
    FROM gaps WHERE driver_id = $1 AND started_at < b.ends AND ended_at > b.starts
) AS g
WHERE q.fixes > 0 OR q.stopped_s > 0 OR q.moving_s > 0 OR g.gap_s > 0
ORDER BY b.starts
