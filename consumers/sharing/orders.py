"""What the share agent tells its supervisor: the workers that are to run. Imports no Redis.

The supervisor knows them by their names, and passes on the arguments without reading them.
"""

from collections.abc import Mapping

import msgspec

from common.event import MALFORMED


class RunWorkers(msgspec.Struct, frozen=True):
    """The whole of what is to run on this host: name -> arguments."""

    run: dict[str, list[str]]


_decode = msgspec.json.Decoder(RunWorkers).decode


def encode_orders(workers: Mapping[str, list[str]]) -> bytes:
    """The message."""
    return msgspec.json.encode(RunWorkers(dict(workers)))


def read_orders(message: bytes) -> dict[str, list[str]] | None:
    """The workers; None for a message about something else."""
    try:
        return _decode(message).run
    except MALFORMED:
        return None
