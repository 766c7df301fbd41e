-- The newest boundary of driver $1 at or before $2, of what began at or after $3: where a stop
-- ended by a move, or a gap by a fix. They do not overlap, so the newest but one has ended by $2.
SELECT greatest(
    (
        SELECT max(ended_at) FROM (
            SELECT ended_at FROM stops
            WHERE driver_id = $1 AND started_at < $2 AND started_at >= $3 AND ended_by = 'move'
            ORDER BY started_at DESC LIMIT 2
        ) AS s WHERE ended_at <= $2
    ),
    (
        SELECT max(ended_at) FROM (
            SELECT ended_at FROM gaps
            WHERE driver_id = $1 AND started_at < $2 AND started_at >= $3
            ORDER BY started_at DESC LIMIT 2
        ) AS g WHERE ended_at <= $2
    )
)
