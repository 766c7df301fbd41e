SELECT {columns} FROM geofences WHERE geofence_id > $1 ORDER BY geofence_id LIMIT $2
