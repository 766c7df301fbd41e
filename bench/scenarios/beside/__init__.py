"""With and without, in one run: what a part costs those whom it must not slow.

The machine is never the same twice. So both run at the same time where they can (`duel`,
`metrics`), else in turns (`live`), and each pair is compared by itself (`pairs`).
"""
