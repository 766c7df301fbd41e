"""Phone apps that people already have, as they are: each file translates one app's requests.

A translation is pure: what came in, as an `Upload`, becomes a `Translation`: fixes to store, fixes
that can never be stored, or nothing to do. `resource.py` does the I/O for all of them.
"""
