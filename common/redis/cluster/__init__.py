"""A Redis Cluster: its map of slots, and a connection to each primary."""
