SELECT DISTINCT (t.started_at AT TIME ZONE 'UTC')::date AS day
FROM trips t
WHERE NOT t.open
  AND t.started_at >= greatest(
      $2::date,
      (SELECT max(l.day) + 1 FROM road_lessons l WHERE l.vehicle = $1)
  )::timestamp AT TIME ZONE 'UTC'
  AND t.started_at < $3::date::timestamp AT TIME ZONE 'UTC'
ORDER BY day
