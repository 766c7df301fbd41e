"""`fleetline backup` and `fleetline restore`: both stores as they belong together.

The stream is copied first, and the history after it. Each accepted fix is then in the copy of the
stream or of the history: what left the stream before its copy was taken had been stored by then,
and is in everything that the history shows later. The other way round, a fix could be stored after
the copy of the history, leave the stream before the copy of that, and be in neither. A fix that is
in both copies is stored once, as after any redelivery.
"""
