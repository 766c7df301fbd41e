WITH change AS (
    UPDATE geofence_changes SET version = version + 1
    WHERE EXISTS (SELECT FROM geofences WHERE geofence_id = $1)
    RETURNING version
)
DELETE FROM geofences USING change WHERE geofence_id = $1
RETURNING geofence_id
