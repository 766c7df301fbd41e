"""What two or more roles must agree on: the words, the keys, the event, the limits."""

from importlib.metadata import version

__version__ = version("fleetline")
