"""Redis, seen from here: the pipelined connection, its address, and what the data in it is."""
