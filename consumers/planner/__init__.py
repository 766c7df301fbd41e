"""Plans: who serves what, in which order. One process makes them, of which nobody else waits.

`reading` judges what is asked for, `planning` holds the pure rules, among them the checker that
every answer passes, and `solving` has the solver in child processes.
"""
