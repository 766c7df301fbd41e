"""`fleetline hosts` and `fleetline drain`: which host runs which shards, and handing them over."""
