"""Hosts share the shards: who there is, who should have what, and what this host is to run."""
