-- The oldest boundary of driver $1, of what began at or after $2.
SELECT least(
    (
        SELECT ended_at FROM stops
        WHERE driver_id = $1 AND started_at >= $2 AND ended_by = 'move'
        ORDER BY started_at LIMIT 1
    ),
    (
        SELECT ended_at FROM gaps
        WHERE driver_id = $1 AND started_at >= $2
        ORDER BY started_at LIMIT 1
    )
)
