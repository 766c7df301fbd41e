"""`fleetline replay` and `fleetline simulate`: fixes through the HTTP API, as drivers send them."""
