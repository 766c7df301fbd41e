"""HTTP in, stream out: takes fixes, answers for current positions, routes, orders and health."""
