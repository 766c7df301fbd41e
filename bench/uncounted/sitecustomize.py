"""Imported by Python itself when this folder is on the PYTHONPATH."""

from bench.uncounted.edits import install

install()
