"""What the processes of Fleetline say of themselves in numbers: see docs/metrics.md.

Hot paths count in plain integers and `histogram.Histogram`. About once a second a process writes
them down (`snapshot`); a child hands that to its role's main process over the connection it beats
on, which adds up its children's (`collection`) and serves `/metrics` (`door`). Which metrics there
are stands in `names`, one file a role.
"""
