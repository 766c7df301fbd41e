"""With and without, in one run: what a part costs those whom it must not slow.

The machine is never the same twice, so both are measured in turns, and each pair is compared by
itself: see `pairs`.
"""
