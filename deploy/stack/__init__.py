"""What a stack on this machine stands on: its folder, accounts and ports, and what a part is told.

Nothing here runs anything: `deploy/servers` and `deploy/tools` are told by it where things are.
"""
