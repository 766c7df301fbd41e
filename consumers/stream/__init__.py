"""A shard's stream: reading, acknowledging, trimming, dead letters, and who may."""
