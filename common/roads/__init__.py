"""How long a way takes: by the road engine, by the fleet's own trips, or by the straight line."""
