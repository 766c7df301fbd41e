-- How long what was left really took against what was computed, by method and class: quantiles of
-- the logarithm of their ratio, over the newest orders that arrived. $1: edges of the classes in
-- seconds, $2: how many orders.
WITH arrived AS (
    SELECT order_id, driver_id, coalesce(arriving_at, delivered_at) AS arrived_at
    FROM orders
    WHERE over_at > now() - interval '7 days' AND delivered_at IS NOT NULL
    ORDER BY over_at DESC
    LIMIT $2
), said AS (
    SELECT
        l.method,
        width_bucket(l.model_s::double precision, $1::double precision[]) AS edge,
        l.order_id,
        ln(extract(epoch FROM a.arrived_at - l.at)::double precision / greatest(l.model_s, 1))
            AS error
    FROM arrived AS a
    JOIN arrival_log AS l
        ON l.order_id = a.order_id AND l.driver_id = coalesce(a.driver_id, l.driver_id)
    WHERE a.arrived_at > l.at + interval '1 second'
)
SELECT
    method,
    edge,
    count(DISTINCT order_id)::integer AS orders,
    percentile_cont(ARRAY[0.1, 0.5, 0.9]) WITHIN GROUP (ORDER BY error) AS quantiles
FROM said
GROUP BY method, edge
