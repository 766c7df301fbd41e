"""What is counted of a shard's stream: what waits, what is settled, what went wrong."""
