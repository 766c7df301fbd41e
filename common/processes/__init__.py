"""One way to keep processes alive, used for the roles of `fleetline up` and for the consumers.

Synchronous and single-threaded: no lock, no event loop, and a parent death signal (which follows
the thread that forked) means what it says. Rules stand in `policy`, one process in `child`, the
loop in `supervisor`.
"""
