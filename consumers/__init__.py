"""Stream in, live state and history out: one process per shard."""
