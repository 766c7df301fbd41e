"""The supervisor and its children: how they start, when one starts again, how all of them stop."""
