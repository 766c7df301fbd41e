-- Distance and times of each driver of $1 by hour or day ($4) of a time zone ($5), in [$2, $3).
SELECT
    driver_id, greatest(date_trunc($4, quarter, $5), $2) AS starts,
    sum(fixes)::bigint AS fixes, sum(distance_m) AS distance_m, sum(moving_s) AS moving_s,
    sum(tracked_s) - sum(moving_s) AS stopped_s, sum(over_limit_s) AS over_limit_s,
    max(speed_max) AS speed_max
FROM driver_quarters
WHERE quarter >= $2 AND quarter < $3 AND driver_id = ANY($1::text[])
GROUP BY driver_id, 2 ORDER BY driver_id, 2
