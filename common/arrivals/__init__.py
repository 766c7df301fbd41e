"""When an order's driver arrives: what is said of it, and how it is worked out without roads."""
