"""`fleetline token` and `fleetline key`, and the first tokens of `up --auth`."""
