"""The solver: VROOM, in child processes that can be killed. It keeps Python's lock while it works,
and its package costs a second to import.
"""
