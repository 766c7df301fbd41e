"""The embedded servers of `fleetline up`: each file knows one of them, none knows the stack."""
