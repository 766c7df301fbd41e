-- Filled in: {table}. What touches [$2, $3) and began after $4; what began first comes first.
SELECT * FROM {table}
WHERE driver_id = $1
  AND started_at < $3 AND ended_at >= $2
  AND ($4::timestamptz IS NULL OR started_at > $4)
ORDER BY started_at LIMIT $5
