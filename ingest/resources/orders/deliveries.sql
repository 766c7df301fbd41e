-- Orders that were over in [$1, $2), of drivers after $3, $4 rows at most.
-- Filled in: {key}, {after}.
SELECT
    {key} AS key,
    count(*) FILTER (WHERE state = 'delivered') AS delivered,
    count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE delivered_at IS NOT NULL AND promised_at IS NOT NULL) AS promised,
    count(*) FILTER (WHERE delivered_at <= promised_at) AS on_time,
    percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99, 1.0]) WITHIN GROUP (ORDER BY under_way_s)
        FILTER (WHERE under_way_s IS NOT NULL) AS under_way_s,
    avg(under_way_s) AS under_way_mean_s,
    sum(distance_m) FILTER (WHERE delivered_at IS NOT NULL) AS distance_m
FROM (
    SELECT
        *,
        extract(epoch FROM delivered_at - coalesce(picked_up_at, assigned_at, new_at))
            ::double precision AS under_way_s
    FROM orders WHERE over_at >= $1 AND over_at < $2 AND coalesce(driver_id, '') {after} $3
) AS o
GROUP BY 1 ORDER BY 1 LIMIT $4
