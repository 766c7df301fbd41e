-- How right arrivals were, by class of the minutes that remained: an error is what was said less
-- what came of it. $1, $2: orders that arrived in that span; $3: edges of the classes in seconds;
-- $4: a method, or null. {day}: the day that an order arrived, or a constant.
WITH arrived AS (
    SELECT order_id, driver_id, coalesce(arriving_at, delivered_at) AS arrived_at
    FROM orders
    WHERE over_at >= $1 AND over_at < $2 AND delivered_at IS NOT NULL
), said AS (
    SELECT
        {day} AS day,
        a.order_id,
        extract(epoch FROM a.arrived_at - l.at)::double precision AS real_s,
        width_bucket(
            extract(epoch FROM a.arrived_at - l.at)::double precision, $3::double precision[]
        ) AS edge,
        l.remaining_s::double precision AS said_s,
        l.low_s,
        l.high_s
    FROM arrived AS a
    JOIN arrival_log AS l
        ON l.order_id = a.order_id AND l.driver_id = coalesce(a.driver_id, l.driver_id)
    WHERE l.at < a.arrived_at AND ($4::text IS NULL OR l.method = $4)
)
SELECT
    day,
    edge,
    count(*)::integer AS predictions,
    count(DISTINCT order_id)::integer AS orders,
    avg(abs(said_s - real_s)) AS error_mean_s,
    avg(said_s - real_s) AS bias_s,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(said_s - real_s)) AS error_p50_s,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY abs(said_s - real_s)) AS error_p90_s,
    avg((real_s BETWEEN low_s AND high_s)::integer)::double precision AS coverage
FROM said
GROUP BY GROUPING SETS ((day, edge), (day))
ORDER BY day, edge NULLS LAST
LIMIT 5000
