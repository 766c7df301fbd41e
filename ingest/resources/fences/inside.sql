-- The drivers in a fence; a row without a driver where it has none, and no row where there is no
-- such fence: the visits of one that was deleted are about to end.
SELECT v.driver_id, v.entered_at, v.dwelt
FROM geofences AS f
LEFT JOIN LATERAL (
    SELECT * FROM fence_visits
    WHERE geofence_id = f.geofence_id AND driver_id > $2
    ORDER BY driver_id
    LIMIT $3
) AS v ON true
WHERE f.geofence_id = $1
ORDER BY v.driver_id
