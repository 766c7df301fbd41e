"""Travel times and ways: matrices, routes, what a driver's route was on the roads."""
