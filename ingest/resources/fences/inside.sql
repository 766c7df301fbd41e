-- One row for the fence, then those of the drivers in it.
SELECT NULL AS driver_id, NULL AS entered_at, NULL AS dwelt FROM geofences WHERE geofence_id = $1
UNION ALL (
    SELECT driver_id, entered_at, dwelt FROM fence_visits
    WHERE geofence_id = $1 AND driver_id > $2 ORDER BY driver_id LIMIT $3
)
