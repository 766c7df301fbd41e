"""`fleetline reshard`: another number of shards, while everything runs."""
