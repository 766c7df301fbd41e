SELECT {columns} FROM geofences WHERE geofence_id = $1
