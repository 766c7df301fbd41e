"""How good plans are, on published instances and at random."""
