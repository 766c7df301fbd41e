-- Marks become repairs: the oldest time of each driver. $1 marks at most.
WITH taken AS (
    DELETE FROM insight_late WHERE id IN (
        SELECT id FROM insight_late ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
    )
    RETURNING drivers, since
)
SELECT m.driver_id, min(m.since) AS since
FROM taken, unnest(taken.drivers, taken.since) AS m (driver_id, since)
GROUP BY m.driver_id ORDER BY m.driver_id
