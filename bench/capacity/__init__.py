"""Sizes for fleets that do not fit on the machine of the bench, from what it measured.

`python -m bench.capacity` computes them from a results file; docs/scale.md shows them.
"""
