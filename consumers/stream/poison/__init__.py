"""Entries that can never be stored, or that kill who reads them: found, and put aside."""
