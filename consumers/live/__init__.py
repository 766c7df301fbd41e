"""The live stage: newest position per driver and order, published at once."""
